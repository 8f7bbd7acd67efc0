use qvl_checkpoint::Config;

use crate::{EngineError, Features};

/// A prompt, ready for the text model.
#[derive(Debug, Clone, Copy)]
pub struct Prefill<'a> {
    /// Token ids, with a placeholder for each row of features.
    pub token_ids: &'a [u32],
    /// Position of each token on the axes time, height, width (`reference/SPEC.md` §6).
    pub positions: &'a [[i64; 3]],
    /// Rows for the picture and video placeholders in `token_ids`, in order. Without it placeholders are plain tokens.
    pub features: Option<&'a Features>,
}

impl Prefill<'_> {
    /// Checks the parts against each other and against the model.
    pub(crate) fn check(&self, config: &Config) -> Result<(), EngineError> {
        if self.token_ids.is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        if self.positions.len() != self.token_ids.len() {
            return Err(EngineError::Positions { tokens: self.token_ids.len(), positions: self.positions.len() });
        }
        check_tokens(self.token_ids, config)?;
        if let Some(features) = self.features {
            let width = config.packed_width();
            if features.width != width || Some(features.data.len()) != features.rows.checked_mul(width) {
                return Err(EngineError::FeatureWidth { found: features.width, expected: width });
            }
            let placeholders = count_placeholders(self.token_ids, config);
            if placeholders != features.rows {
                return Err(EngineError::FeatureRows { placeholders, rows: features.rows });
            }
        }
        Ok(())
    }

    /// The prompt in pieces of at most `size` tokens, each with the rows of its own placeholders.
    pub(crate) fn chunks<'a>(&'a self, size: usize, config: &'a Config) -> impl Iterator<Item = Chunk<'a>> {
        let mut rest = self.features.map_or(&[][..], |features| &features.data);
        self.token_ids.chunks(size).zip(self.positions.chunks(size)).map(move |(token_ids, positions)| {
            let rows = if self.features.is_some() { count_placeholders(token_ids, config) } else { 0 };
            let (features, later) = rest.split_at(rows * config.packed_width());
            rest = later;
            Chunk { token_ids, positions, features }
        })
    }
}

/// A piece of a prompt that is run in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chunk<'a> {
    pub(crate) token_ids: &'a [u32],
    pub(crate) positions: &'a [[i64; 3]],
    /// Rows of features for the placeholders in `token_ids`, one after the other; empty for none.
    pub(crate) features: &'a [f32],
}

/// Checks that every token is of the vocabulary.
pub(crate) fn check_tokens(token_ids: &[u32], config: &Config) -> Result<(), EngineError> {
    let vocab = config.text.vocab_size;
    match token_ids.iter().find(|&&token| token as usize >= vocab) {
        Some(&token) => Err(EngineError::Token { token, vocab }),
        None => Ok(()),
    }
}

fn count_placeholders(token_ids: &[u32], config: &Config) -> usize {
    token_ids.iter().filter(|&&token| token == config.image_token_id || token == config.video_token_id).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config() -> Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied/config.json");
        Config::from_json(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Token ids of which about half are placeholders.
    fn token_ids() -> impl Strategy<Value = Vec<u32>> {
        let config = config();
        let ids = [7, 8, config.image_token_id, config.video_token_id];
        prop::collection::vec(prop::sample::select(ids.to_vec()), 1..60)
    }

    proptest! {
        #[test]
        fn chunks_are_the_prompt_in_pieces(token_ids in token_ids(), size in 1_usize..70) {
            let config = config();
            let width = config.packed_width();
            let rows = count_placeholders(&token_ids, &config);
            let data: Vec<f32> = (0..rows * width).map(|value| value as f32).collect();
            let features = Features { rows, width, data };
            let positions: Vec<[i64; 3]> = (0..token_ids.len() as i64).map(|place| [place; 3]).collect();
            let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: Some(&features) };
            prompt.check(&config).unwrap();

            let chunks: Vec<Chunk<'_>> = prompt.chunks(size, &config).collect();
            for chunk in &chunks {
                prop_assert!((1..=size).contains(&chunk.token_ids.len()));
                prop_assert_eq!(chunk.features.len(), count_placeholders(chunk.token_ids, &config) * width);
            }
            prop_assert_eq!(chunks.iter().map(|chunk| chunk.features).collect::<Vec<_>>().concat(), features.data.clone());
            prop_assert_eq!(chunks.iter().map(|chunk| chunk.token_ids).collect::<Vec<_>>().concat(), token_ids.clone());
            prop_assert_eq!(chunks.iter().map(|chunk| chunk.positions).collect::<Vec<_>>().concat(), positions.clone());
        }

        #[test]
        fn without_features_placeholders_are_plain_tokens(token_ids in token_ids(), size in 1_usize..70) {
            let config = config();
            let positions = vec![[0; 3]; token_ids.len()];
            let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: None };
            prompt.check(&config).unwrap();
            prop_assert!(prompt.chunks(size, &config).all(|chunk| chunk.features.is_empty()));
        }
    }
}
