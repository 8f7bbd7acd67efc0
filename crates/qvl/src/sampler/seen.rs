//! The tokens that came before, for the penalties on repeating them.

use std::collections::{HashMap, HashSet};

use super::{Sampling, change};

/// Which tokens the prompt and the answer hold so far.
#[derive(Debug, Default, Clone)]
pub struct SeenTokens {
    anywhere: HashSet<u32>,
    /// How often each token is in the answer.
    answer: HashMap<u32, u32>,
}

impl SeenTokens {
    /// Notes the tokens of the prompt.
    pub fn prompt(&mut self, token_ids: &[u32]) {
        self.anywhere.extend(token_ids);
    }

    /// Notes a token of the answer.
    pub fn generated(&mut self, token_id: u32) {
        self.anywhere.insert(token_id);
        *self.answer.entry(token_id).or_default() += 1;
    }

    /// Lowers the logits of tokens that were seen: the repetition penalty as in `transformers` (positive logits are
    /// divided, negative ones multiplied; prompt and answer), then the frequency and the presence penalty as in OpenAI's
    /// API (the count times the one, and the other, subtracted; answer only).
    pub(super) fn penalise(&self, logits: &mut [f32], settings: &Sampling) {
        let Sampling { repetition_penalty, frequency_penalty, presence_penalty, .. } = *settings;
        if repetition_penalty != 1.0 {
            for &token in &self.anywhere {
                change(logits, token, |logit| {
                    if logit < 0.0 { logit * repetition_penalty } else { logit / repetition_penalty }
                });
            }
        }
        if frequency_penalty != 0.0 || presence_penalty != 0.0 {
            for (&token, &count) in &self.answer {
                change(logits, token, |logit| logit - frequency_penalty * count as f32 - presence_penalty);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_penalised_once() {
        let mut seen = SeenTokens::default();
        seen.prompt(&[0, 1, 1, 9]);
        seen.generated(2);
        seen.generated(2);
        let settings = Sampling { repetition_penalty: 2.0, presence_penalty: 0.5, ..Sampling::default() };
        let mut logits = [4.0, -4.0, 3.0, 1.0];
        seen.penalise(&mut logits, &settings);
        assert_eq!(logits, [2.0, -8.0, 1.0, 1.0]);
    }

    #[test]
    fn the_frequency_penalty_counts_the_answer() {
        let mut seen = SeenTokens::default();
        seen.prompt(&[0, 1]);
        for token in [1, 2, 2, 2] {
            seen.generated(token);
        }
        let settings = Sampling { frequency_penalty: 0.5, presence_penalty: 0.25, ..Sampling::default() };
        let mut logits = [1.0; 4];
        seen.penalise(&mut logits, &settings);
        assert_eq!(logits, [1.0, 0.25, -0.75, 1.0]);
    }

    #[test]
    fn infinities_are_neither_changed_nor_made() {
        let mut seen = SeenTokens::default();
        seen.prompt(&[0, 1]);
        let settings = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let mut logits = [f32::NEG_INFINITY, f32::MIN];
        seen.penalise(&mut logits, &settings);
        assert_eq!(logits, [f32::NEG_INFINITY, f32::MIN]);
    }
}
