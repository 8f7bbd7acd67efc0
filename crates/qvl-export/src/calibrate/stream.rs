//! The residual stream of all prompts, their tokens below each other.

use std::ops::Range;

use qvl_checkpoint::{Checkpoint, Config, TextConfig};

use super::CalibrationPrompt;
use crate::ExportError;
use crate::graph::TABLE;

/// The prompts on their way through the decoder.
pub(super) struct Stream {
    /// Residual stream [tokens, hidden].
    pub(super) x: Vec<f32>,
    /// The tokens of each prompt.
    pub(super) prompts: Vec<Range<usize>>,
    /// How much each token counts.
    pub(super) weights: Vec<f32>,
    /// Cosines and sines [tokens, head size / 2].
    pub(super) rotary: [Vec<f32>; 2],
    /// How many tokens are placeholders of pictures or videos.
    pub(super) vision_tokens: usize,
    /// Rows of `x` that DeepStack adds to.
    placeholders: Vec<usize>,
    /// DeepStack features [placeholders, R · hidden].
    deepstack: Vec<f32>,
}

impl Stream {
    /// The input of the first layer.
    ///
    /// Text and vision tokens count as much on the whole as each other, since pictures have many more tokens than what is
    /// said about them, unless there are fewer of them.
    ///
    /// # Errors
    /// If the prompts are none, or do not fit the model.
    pub(super) fn new(checkpoint: &Checkpoint, prompts: Vec<CalibrationPrompt>) -> Result<Self, ExportError> {
        let config = checkpoint.config();
        check(config, &prompts)?;
        let (hidden, packed) = (config.text.hidden_size, config.packed_width());
        let table = checkpoint.tensor(TABLE)?;
        let mut stream = Self {
            x: Vec::new(),
            prompts: Vec::new(),
            weights: Vec::new(),
            rotary: rotary(&config.text, &prompts),
            vision_tokens: 0,
            placeholders: Vec::new(),
            deepstack: Vec::new(),
        };
        let mut row = vec![0.0; hidden];
        for prompt in prompts {
            let start = stream.x.len() / hidden;
            let mut features = prompt.features.chunks_exact(packed);
            for &token in &prompt.token_ids {
                match is_placeholder(config, token).then(|| features.next()).flatten() {
                    Some(feature) => {
                        stream.placeholders.push(stream.x.len() / hidden);
                        stream.x.extend_from_slice(&feature[..hidden]);
                        stream.deepstack.extend_from_slice(&feature[hidden..]);
                    }
                    None => {
                        table.read_f32(token as usize * hidden, &mut row);
                        stream.x.extend_from_slice(&row);
                    }
                }
            }
            stream.prompts.push(start..stream.x.len() / hidden);
        }
        table.release(0, table.len());
        stream.weigh(hidden);
        Ok(stream)
    }

    /// Number of tokens.
    pub(super) fn tokens(&self) -> usize {
        self.weights.len()
    }

    fn weigh(&mut self, hidden: usize) {
        let tokens = self.x.len() / hidden;
        self.vision_tokens = self.placeholders.len();
        let text_tokens = tokens - self.vision_tokens;
        let weight = (text_tokens as f32 / self.vision_tokens.max(1) as f32).min(1.0);
        self.weights = vec![1.0; tokens];
        for &row in &self.placeholders {
            self.weights[row] = weight;
        }
    }

    /// Adds DeepStack feature `index`, if there is one, after the layer of that number.
    pub(super) fn add_deepstack(&mut self, index: usize, hidden: usize) {
        let width = self.deepstack.len() / self.placeholders.len().max(1);
        if (index + 1) * hidden > width {
            // None is left.
            self.deepstack = Vec::new();
            return;
        }
        for (&row, feature) in self.placeholders.iter().zip(self.deepstack.chunks_exact(width)) {
            let feature = &feature[index * hidden..][..hidden];
            self.x[row * hidden..][..hidden].iter_mut().zip(feature).for_each(|(x, feature)| *x += feature);
        }
    }
}

fn is_placeholder(config: &Config, token: u32) -> bool {
    token == config.image_token_id || token == config.video_token_id
}

fn check(config: &Config, prompts: &[CalibrationPrompt]) -> Result<(), ExportError> {
    let refuse = |reason: &str| Err(ExportError::CalibrationPrompt { reason: reason.to_owned() });
    if prompts.iter().all(|prompt| prompt.token_ids.is_empty()) {
        return refuse("there is none");
    }
    for prompt in prompts {
        let placeholders = prompt.token_ids.iter().filter(|&&token| is_placeholder(config, token)).count();
        if prompt.positions.len() != prompt.token_ids.len() {
            return refuse("a prompt has not one position for each token");
        }
        if prompt.features.len() != placeholders * config.packed_width() {
            return refuse("a prompt has not one row of features for each placeholder");
        }
        if prompt.token_ids.iter().any(|&token| token as usize >= config.text.vocab_size) {
            return refuse("a token is not of the vocabulary");
        }
    }
    Ok(())
}

/// Interleaved M-RoPE (§5.2): cosines and sines of every token.
fn rotary(config: &TextConfig, prompts: &[CalibrationPrompt]) -> [Vec<f32>; 2] {
    let frequencies = config.rope.inverse_frequencies(config.head_dim);
    let factor = config.rope.attention_factor();
    let angles: Vec<f32> = prompts
        .iter()
        .flat_map(|prompt| &prompt.positions)
        .flat_map(|position| {
            let angle = |(k, frequency): (usize, &f32)| position[config.rope.axis_of_frequency(k)] as f32 * frequency;
            frequencies.iter().enumerate().map(angle)
        })
        .collect();
    [f32::cos as fn(f32) -> f32, f32::sin].map(|f| angles.iter().map(|&angle| f(angle) * factor).collect())
}
