//! Teacher forcing: the caller says how a prompt goes on, and the model gives its logits at each step.

use std::ops::ControlFlow;
use std::sync::Arc;

use qvl_engine::{Engine, Features, Logits};
use qvl_processor::Prompt;

use crate::cached_prompt::position_after;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::sequence::Sequence;

/// Receives the logits after a number of forced tokens; breaking off ends the decoding.
pub type OnLogits<'a> = &'a mut dyn FnMut(usize, &[f32]) -> ControlFlow<()>;

/// A prompt in a KV cache, and the tokens that the caller put after it.
pub(crate) struct ForcedDecoding<'a> {
    engine: &'a mut dyn Engine,
    sequence: Sequence,
    features: Vec<Arc<Features>>,
    prompt_tokens: usize,
    /// Tokens after the prompt.
    forced_tokens: usize,
    /// Of the first token after the prompt, on all axes.
    first_position: i64,
    after_prompt: Vec<f32>,
    logits: Vec<f32>,
}

impl<'a> ForcedDecoding<'a> {
    /// Goes on after `prompt`, which `sequence` holds, and whose last logits and features are given.
    pub(crate) fn new(
        engine: &'a mut dyn Engine,
        sequence: Sequence,
        prompt: &Prompt,
        logits: &Logits,
        features: Vec<Arc<Features>>,
    ) -> Self {
        let logits = logits.last().to_vec();
        let prompt_tokens = prompt.token_ids.len();
        Self {
            engine,
            sequence,
            features,
            prompt_tokens,
            forced_tokens: 0,
            first_position: position_after(prompt),
            after_prompt: logits.clone(),
            logits,
        }
    }

    /// The features of the prompt's pictures and videos, in order.
    pub(crate) fn features(&self) -> &[Arc<Features>] {
        &self.features
    }

    /// How many vectors a row of features holds: the merged one and those of DeepStack.
    pub(crate) fn feature_blocks(&self) -> usize {
        1 + self.engine.config().deepstack_count()
    }

    /// Predicts the next token. Empty after [`ForcedDecoding::rewind`] to a token, until the next push.
    pub(crate) fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Appends a token.
    ///
    /// # Errors
    /// If the context is full, the token is not of the vocabulary, or the engine fails.
    pub(crate) fn push(&mut self, token: u32) -> Result<(), Error> {
        let position = self.first_position + self.forced_tokens as i64;
        let logits = self.sequence.decode(self.engine, token, position)?;
        self.logits.clear();
        self.logits.extend_from_slice(logits.last());
        self.forced_tokens += 1;
        Ok(())
    }

    /// Forgets all but the first `kept` tokens after the prompt.
    ///
    /// # Errors
    /// If there are fewer, or the engine fails.
    pub(crate) fn rewind(&mut self, kept: usize) -> Result<(), Error> {
        self.sequence.truncate(self.engine, self.prompt_tokens + kept)?;
        self.forced_tokens = kept;
        self.logits.clear();
        if kept == 0 {
            self.logits.extend_from_slice(&self.after_prompt);
        }
        Ok(())
    }

    /// Hands out the logits before each of `tokens` and after the last; returns how many were handed out.
    ///
    /// # Errors
    /// As [`ForcedDecoding::push`].
    pub(crate) fn run(&mut self, tokens: &[u32], cancel: &CancelFlag, on_logits: OnLogits<'_>) -> Result<usize, Error> {
        let mut rows = 0;
        for &token in tokens {
            let flow = on_logits(rows, &self.logits);
            rows += 1;
            if flow.is_break() || cancel.is_cancelled() {
                return Ok(rows);
            }
            self.push(token)?;
        }
        // Nothing comes after it that could be broken off.
        let _ = on_logits(rows, &self.logits);
        Ok(rows + 1)
    }
}

impl Drop for ForcedDecoding<'_> {
    fn drop(&mut self) {
        self.sequence.close(self.engine);
    }
}
