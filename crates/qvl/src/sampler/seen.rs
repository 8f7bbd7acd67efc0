//! The tokens that came before, for the penalties on repeating them.

use std::collections::HashSet;

use crate::generation::Sampling;

/// Which tokens the prompt and the answer hold so far.
#[derive(Debug, Default)]
pub struct SeenTokens {
    anywhere: HashSet<u32>,
    answer: HashSet<u32>,
}

impl SeenTokens {
    /// Notes the tokens of the prompt.
    pub fn prompt(&mut self, token_ids: &[u32]) {
        self.anywhere.extend(token_ids);
    }

    /// Notes a token of the answer.
    pub fn generated(&mut self, token_id: u32) {
        self.anywhere.insert(token_id);
        self.answer.insert(token_id);
    }

    /// Lowers the logits of tokens that were seen: the repetition penalty as in `transformers` (positive logits are
    /// divided, negative ones multiplied; prompt and answer), then the presence penalty (subtracted; answer only).
    pub(super) fn penalise(&self, logits: &mut [f32], settings: &Sampling) {
        if settings.repetition_penalty != 1.0 {
            let penalty = settings.repetition_penalty;
            change(logits, &self.anywhere, |logit| if logit < 0.0 { logit * penalty } else { logit / penalty });
        }
        if settings.presence_penalty != 0.0 {
            change(logits, &self.answer, |logit| logit - settings.presence_penalty);
        }
    }
}

/// The result is kept finite, so that an extreme penalty cannot make an infinity of a finite logit.
fn change(logits: &mut [f32], tokens: &HashSet<u32>, penalty: impl Fn(f32) -> f32) {
    for &token in tokens {
        let logit = usize::try_from(token).ok().and_then(|token| logits.get_mut(token));
        if let Some(logit) = logit.filter(|logit| logit.is_finite()) {
            *logit = penalty(*logit).clamp(f32::MIN, f32::MAX);
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
    fn infinities_are_neither_changed_nor_made() {
        let mut seen = SeenTokens::default();
        seen.prompt(&[0, 1]);
        let settings = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        let mut logits = [f32::NEG_INFINITY, f32::MIN];
        seen.penalise(&mut logits, &settings);
        assert_eq!(logits, [f32::NEG_INFINITY, f32::MIN]);
    }
}
