//! A prompt's way through the model: pictures to features, tokens into the KV cache.

use std::sync::Arc;

use qvl_engine::{Engine, EngineError, Features, Logits};

use crate::answer::{Timings, timed};
use crate::cached_prompt::PromptLayout;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::sequence::{Sequence, features_for};
use crate::vision_cache::VisionCache;

/// A prompt that is being computed, piece by piece.
pub(crate) struct PromptPass {
    layout: PromptLayout,
    /// Patches of all pictures, until the last piece is done.
    pixels: Vec<f32>,
    /// Of each picture, in order; none if its turn has not come or it is cached.
    features: Vec<Option<Arc<Features>>>,
    /// What the pieces took so far.
    pub(crate) timings: Timings,
}

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A picture's features were computed.
    Encoded,
    /// A picture's features were still there.
    Recalled,
    /// Tokens went into the cache, and others have yet to.
    Prefilled,
    /// The last tokens went into the cache. With the logits after the prompt.
    Completed(Logits),
}

impl PromptPass {
    /// `pixels` are the prompt's pixel values.
    pub(crate) fn new(layout: PromptLayout, pixels: Vec<f32>, timings: Timings) -> Self {
        let features = layout.pictures.iter().map(|_| None).collect();
        Self { layout, pixels, features, timings }
    }

    /// The prompt as the cache will hold it.
    pub(crate) fn layout(&self) -> &PromptLayout {
        &self.layout
    }

    /// The features of its pictures and videos, in order, without those that were cached with their tokens.
    pub(crate) fn into_features(self) -> Vec<Arc<Features>> {
        self.features.into_iter().flatten().collect()
    }

    /// Does all pieces; returns the logits after the prompt, or none if it was cancelled.
    ///
    /// # Errors
    /// As [`PromptPass::advance`].
    pub(crate) fn complete(
        &mut self,
        engine: &mut dyn Engine,
        vision: &mut VisionCache,
        sequence: &mut Sequence,
        chunk: usize,
        cancel: &CancelFlag,
    ) -> Result<Option<Logits>, Error> {
        while !cancel.is_cancelled() {
            if let Piece::Completed(logits) = self.advance(engine, vision, sequence, chunk)? {
                return Ok(Some(logits));
            }
        }
        Ok(None)
    }

    /// Does the next piece: what `sequence` does not hold yet, `chunk` tokens at most, or a picture that is among these.
    ///
    /// # Errors
    /// If the engine fails. The sequence is as before then.
    pub(crate) fn advance(
        &mut self,
        engine: &mut dyn Engine,
        vision: &mut VisionCache,
        sequence: &mut Sequence,
        chunk: usize,
    ) -> Result<Piece, Error> {
        let start = sequence.len();
        let end = self.layout.tokens.len().min(start + chunk.max(1));
        if let Some(picture) = self.next_picture(start, end) {
            return Ok(self.encode(engine, vision, picture)?);
        }
        let rows = features_for(&self.layout, &self.features, start, end);
        let tokens = &self.layout.tokens[start..end];
        let logits = timed(&mut self.timings.prefill, || sequence.prefill(engine, tokens, rows.as_ref()))?;
        if end < self.layout.tokens.len() {
            return Ok(Piece::Prefilled);
        }
        self.pixels = Vec::new();
        Ok(Piece::Completed(logits))
    }

    /// The first picture that has tokens in `start..end` and no features.
    fn next_picture(&self, start: usize, end: usize) -> Option<usize> {
        let has_tokens = |places: &[usize]| {
            places.partition_point(|&index| index < start) < places.partition_point(|&index| index < end)
        };
        let mut pictures = self.layout.pictures.iter().zip(&self.features);
        pictures.position(|((_, places), features)| features.is_none() && has_tokens(places))
    }

    fn encode(
        &mut self,
        engine: &mut dyn Engine,
        vision: &mut VisionCache,
        picture: usize,
    ) -> Result<Piece, EngineError> {
        let key = self.layout.pictures[picture].0;
        if let Some(features) = vision.get(&key) {
            self.features[picture] = Some(features);
            return Ok(Piece::Recalled);
        }
        let patch_len = engine.config().vision.patch_len();
        let values = |index: usize| self.layout.pictures[index].0.grid.patches() * patch_len;
        let first: usize = (0..picture).map(values).sum();
        // The engine says so if there are too few.
        let own = self.pixels.get(first..first + values(picture)).unwrap_or_default();
        let loaded = engine.load_time();
        let features = Arc::new(timed(&mut self.timings.vision, || engine.encode(own, &[key.grid]))?);
        // The engine may have opened the vision graph only now; that counts as loading.
        self.timings.vision = self.timings.vision.saturating_sub(engine.load_time().saturating_sub(loaded));
        vision.insert(key, Arc::clone(&features));
        self.features[picture] = Some(features);
        Ok(Piece::Encoded)
    }
}
