//! Keeping one answer to its grammar, token by token.

use std::sync::Arc;

use llguidance::Matcher;
use llguidance::api::StopReason;
use llguidance::toktrie::SimpleVob;

use super::compiler::Grammar;
use super::error::GrammarError;
use super::vocabulary::Vocabulary;

/// Line breaks that may stand between the thinking and the answer; the template has two.
const BREAKS: u8 = 2;

/// The state of one answer under a [`Grammar`].
///
/// Before each token [`mask`](Self::mask) excludes those that do not fit; after it the chosen one is
/// [committed](Self::commit). When [`is_finished`](Self::is_finished) the answer is over, whatever the model would say.
pub struct Constraint {
    matcher: Matcher,
    vocabulary: Arc<Vocabulary>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The model thinks: all is allowed but an end.
    Thinking,
    /// Behind the closing tag; so many line breaks may come still.
    Between(u8),
    Answer,
}

impl Constraint {
    /// A constraint for the answer to a prompt of these tokens. If the prompt ends inside thinking, the grammar holds
    /// from the closing tag on.
    pub fn new(grammar: &Grammar, prompt: &[u32]) -> Self {
        let vocabulary = grammar.vocabulary().clone();
        let phase = if vocabulary.think.opened_by(prompt) { Phase::Thinking } else { Phase::Answer };
        Self { matcher: grammar.matcher(), vocabulary, phase }
    }

    /// Sets the logits (one per token of the vocabulary) of all tokens that may not come next to minus infinity.
    ///
    /// Tokens that end an answer may come where the answer is whole.
    ///
    /// # Errors
    /// If the grammar exceeds its limits of memory and time here.
    pub fn mask(&mut self, logits: &mut [f32]) -> Result<(), GrammarError> {
        if self.phase == Phase::Thinking {
            for &end in &self.vocabulary.ends {
                exclude(logits, end);
            }
            return Ok(());
        }
        let mut allowed = self.matcher.compute_mask_or_eos().map_err(GrammarError::of_running)?;
        if let Phase::Between(left) = self.phase {
            for &(token, _) in self.vocabulary.breaks.iter().filter(|&&(_, breaks)| breaks <= left) {
                allowed.allow_token(token);
            }
        }
        apply(&allowed, logits);
        Ok(())
    }

    /// Notes the token that was chosen.
    ///
    /// # Errors
    /// If the grammar does not allow it, or exceeds its limits.
    pub fn commit(&mut self, token: u32) -> Result<(), GrammarError> {
        match self.phase {
            Phase::Thinking => {
                if self.vocabulary.think.is_close(token) {
                    self.phase = Phase::Between(BREAKS);
                }
                return Ok(());
            }
            Phase::Between(left) => {
                let breaks = self.vocabulary.breaks.iter().find(|&&(id, breaks)| id == token && breaks <= left);
                if let Some((_, breaks)) = breaks {
                    self.phase = Phase::Between(left - breaks);
                    return Ok(());
                }
                self.phase = Phase::Answer;
            }
            Phase::Answer => {}
        }
        match self.matcher.try_consume_tokens(&[token]) {
            Ok(1) => Ok(()),
            Ok(_) if self.is_finished() && self.vocabulary.ends.contains(&token) => Ok(()),
            Ok(_) => Err(GrammarError::Refused { token }),
            Err(error) => Err(GrammarError::of_running(error)),
        }
    }

    /// Whether the answer may end here.
    ///
    /// # Errors
    /// If the grammar exceeds its limits.
    pub fn may_end(&mut self) -> Result<bool, GrammarError> {
        if self.phase != Phase::Answer {
            return Ok(false);
        }
        Ok(self.is_finished() || self.matcher.is_accepting().map_err(GrammarError::of_running)?)
    }

    /// Whether the answer is whole and nothing can follow.
    pub fn is_finished(&self) -> bool {
        matches!(
            self.matcher.stop_reason(),
            StopReason::NoExtension | StopReason::NoExtensionBias | StopReason::EndOfSentence
        )
    }
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint").field("phase", &self.phase).finish_non_exhaustive()
    }
}

fn exclude(logits: &mut [f32], token: u32) {
    if let Some(logit) = usize::try_from(token).ok().and_then(|token| logits.get_mut(token)) {
        *logit = f32::NEG_INFINITY;
    }
}

/// Excludes what is not allowed; a model's table may have more rows than the tokenizer has tokens.
fn apply(allowed: &SimpleVob, logits: &mut [f32]) {
    let words = allowed.as_slice().iter().copied().chain(std::iter::repeat(0));
    for (logits, word) in logits.chunks_mut(u32::BITS as usize).zip(words) {
        if word == u32::MAX {
            continue;
        }
        for (bit, logit) in logits.iter_mut().enumerate() {
            if (word >> bit) & 1 == 0 {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
}
