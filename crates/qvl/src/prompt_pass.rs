//! A prompt's way through the model: pictures to features, tokens into the KV cache.

use std::sync::Arc;

use qvl_engine::{Engine, Features, Logits};
use qvl_processor::Prompt;

use crate::cached_prompt::PromptLayout;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::sequence::{Sequence, features_for};
use crate::vision_cache::VisionCache;

/// Encodes pictures and prefills tokens, and stops between two pieces of that when asked to.
pub(crate) struct PromptPass<'a> {
    pub(crate) engine: &'a mut dyn Engine,
    pub(crate) vision: &'a mut VisionCache,
    pub(crate) cancel: &'a CancelFlag,
    /// Tokens that are computed between two looks at the cancel flag.
    pub(crate) prefill_chunk: usize,
}

/// A whole prompt that went through.
pub(crate) struct Prefilled {
    /// Of its pictures and videos, in order.
    pub(crate) features: Vec<Arc<Features>>,
    /// After its last token.
    pub(crate) logits: Logits,
}

impl PromptPass<'_> {
    /// Encodes all pictures of `prompt` and prefills it into an empty sequence; none if it was cancelled.
    ///
    /// # Errors
    /// If the parts of the prompt do not fit one another, or the engine fails.
    pub(crate) fn run(&mut self, sequence: &mut Sequence, prompt: &Prompt) -> Result<Option<Prefilled>, Error> {
        let layout = PromptLayout::new(prompt, self.engine.config())?;
        let Some(features) = self.encode(prompt, &layout, 0)? else { return Ok(None) };
        let logits = self.prefill(sequence, &layout, &features, 0)?;
        Ok(logits.map(|logits| Prefilled { features: features.into_iter().flatten().collect(), logits }))
    }

    /// The features of the pictures that have tokens after the first `cached`; none if it was cancelled.
    ///
    /// # Errors
    /// If the engine fails.
    pub(crate) fn encode(
        &mut self,
        prompt: &Prompt,
        layout: &PromptLayout,
        cached: usize,
    ) -> Result<Option<Vec<Option<Arc<Features>>>>, Error> {
        let patch_len = self.engine.config().vision.patch_len();
        let mut pixels = prompt.pixel_values.as_slice();
        let mut all = Vec::with_capacity(layout.pictures.len());
        for (key, places) in &layout.pictures {
            let (own, rest) = pixels.split_at(key.grid.patches() * patch_len);
            pixels = rest;
            if places.last().is_none_or(|&last| last < cached) {
                all.push(None);
                continue;
            }
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            let features = match self.vision.get(key) {
                Some(features) => features,
                None => {
                    let features = Arc::new(self.engine.encode(own, &[key.grid])?);
                    self.vision.insert(*key, Arc::clone(&features));
                    features
                }
            };
            all.push(Some(features));
        }
        Ok(Some(all))
    }

    /// Feeds the prompt after its first `cached` tokens; none if it was cancelled.
    ///
    /// # Errors
    /// If the engine fails.
    pub(crate) fn prefill(
        &mut self,
        sequence: &mut Sequence,
        layout: &PromptLayout,
        features: &[Option<Arc<Features>>],
        cached: usize,
    ) -> Result<Option<Logits>, Error> {
        let mut logits = None;
        let mut start = cached;
        while start < layout.tokens.len() {
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            let end = layout.tokens.len().min(start + self.prefill_chunk.max(1));
            let rows = features_for(layout, features, start, end);
            logits = Some(sequence.prefill(self.engine, &layout.tokens[start..end], rows.as_ref())?);
            start = end;
        }
        Ok(logits)
    }
}
