//! How the next token is chosen: the settings, and the range of each.

use crate::generation::{GenerationConfigError, check};

/// How the next token is chosen from the logits.
///
/// The steps run in the order of `transformers`: logit bias, repetition penalty, (frequency and presence penalty,)
/// temperature, top-k, top-p, min-p (`reference/SPEC.md §7`).
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Draw from the distribution; false takes the most likely token (greedy).
    pub do_sample: bool,
    /// Divides the logits; 0 is greedy.
    pub temperature: f32,
    /// Keeps the `top_k` most likely tokens (and those that tie with the last of them); 0 keeps all.
    pub top_k: usize,
    /// Keeps the smallest set of tokens whose probabilities sum to at least this; 1 keeps all.
    pub top_p: f32,
    /// Drops tokens less likely than this times the most likely one; 0 drops none.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of all tokens seen, prompt included; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens already in the answer; 0 changes nothing.
    pub presence_penalty: f32,
    /// Times the number of a token in the answer, subtracted from its logit; 0 changes nothing.
    pub frequency_penalty: f32,
    /// Tokens and what is added to their logits. A token of no vocabulary is passed over.
    pub logit_bias: Vec<(u32, f32)>,
    /// Makes a sampled answer repeatable; none draws a new seed for every answer.
    pub seed: Option<u64>,
}

impl Default for Sampling {
    /// What `transformers` does when the file says nothing: greedy, and 50 candidates if sampling is turned on.
    fn default() -> Self {
        Self {
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

impl Sampling {
    /// Whether the most likely token is taken without a draw.
    pub fn is_greedy(&self) -> bool {
        !self.do_sample || self.temperature == 0.0
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range, and the range.
    pub(crate) fn validate(&self) -> Result<(), GenerationConfigError> {
        const PENALTY: &str = "from -100 to 100";
        let in_penalty_range = |value: &f32| (-100.0..=100.0).contains(value);
        check("temperature", self.temperature, "a number from 0 to 100", (0.0..=100.0).contains(&self.temperature))?;
        check("top_p", self.top_p, "above 0 and at most 1", self.top_p > 0.0 && self.top_p <= 1.0)?;
        check("min_p", self.min_p, "from 0 to 1", (0.0..=1.0).contains(&self.min_p))?;
        check(
            "repetition_penalty",
            self.repetition_penalty,
            "above 0 and at most 100",
            self.repetition_penalty > 0.0 && self.repetition_penalty <= 100.0,
        )?;
        check("presence_penalty", self.presence_penalty, PENALTY, in_penalty_range(&self.presence_penalty))?;
        check("frequency_penalty", self.frequency_penalty, PENALTY, in_penalty_range(&self.frequency_penalty))?;
        let outside = self.logit_bias.iter().find(|(_, bias)| !in_penalty_range(bias));
        outside.map_or(Ok(()), |(_, bias)| check("logit_bias", bias, PENALTY, false))
    }
}
