//! A prompt's way through the model: pictures to features, tokens into the KV cache.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use qvl_engine::{Engine, EngineError, Features, Logits};

use crate::answer::{Timings, timed};
use crate::cached_prompt::PromptLayout;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::pixel_source::PixelSource;
use crate::sequence::{Sequence, features_for};
use crate::vision_cache::{SharedEncoding, VisionCache, lock};

/// A prompt that is being computed, piece by piece.
pub(crate) struct PromptPass {
    layout: PromptLayout,
    /// Of all pictures, until the last piece is done.
    pixels: PixelSource,
    /// Of each picture, in order; none if its turn has not come or it is cached.
    features: Vec<Option<Arc<Features>>>,
    /// Of the picture whose turn it is; none if it has not begun.
    encoding: Option<Arc<Mutex<SharedEncoding>>>,
    /// What the pieces took so far.
    pub(crate) timings: Timings,
}

/// One piece of work.
#[derive(Debug)]
pub(crate) enum Piece {
    /// A part of a picture's encoding was done.
    Encoding,
    /// The last part of it was done.
    Encoded,
    /// A picture's features were still there.
    Recalled,
    /// Tokens went into the cache, and others have yet to.
    Prefilled,
    /// The last tokens went into the cache. With the logits after the prompt.
    Completed(Logits),
}

impl PromptPass {
    /// `pixels` are those of the prompt.
    pub(crate) fn new(layout: PromptLayout, pixels: PixelSource, timings: Timings) -> Self {
        let features = layout.pictures.iter().map(|_| None).collect();
        Self { layout, pixels, features, encoding: None, timings }
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

    /// Does the next piece: what `sequence` does not hold yet, `chunk` tokens at most, or a part of a picture that is among
    /// these.
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
        self.pixels = PixelSource::default();
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
            self.take(picture, features);
            return Ok(Piece::Recalled);
        }
        let encoding = Arc::clone(self.encoding.get_or_insert_with(|| vision.join(key)));
        let mut encoding = lock(&encoding);
        // What is too large for the cache is there for those who waited for it.
        if let Some(features) = encoding.features.clone() {
            self.take(picture, features);
            return Ok(Piece::Recalled);
        }
        let loaded = engine.load_time();
        let features = timed(&mut self.timings.vision, || {
            let SharedEncoding { encoding, pixels, .. } = &mut *encoding;
            let pixels = match pixels {
                Some(pixels) => pixels,
                none => {
                    let grids = self.layout.pictures.iter().map(|(key, _)| key.grid);
                    match self.pixels.picture(picture, grids, engine.config().vision.patch_len()) {
                        Cow::Owned(computed) => none.insert(computed),
                        Cow::Borrowed(given) => given,
                    }
                }
            };
            engine.encode_part(encoding, pixels)
        })?;
        // The engine may have opened the vision graph only now; that counts as loading.
        self.timings.vision = self.timings.vision.saturating_sub(engine.load_time().saturating_sub(loaded));
        let Some(features) = features.map(Arc::new) else { return Ok(Piece::Encoding) };
        vision.insert(key, Arc::clone(&features));
        encoding.features = Some(Arc::clone(&features));
        encoding.pixels = None;
        self.take(picture, features);
        Ok(Piece::Encoded)
    }

    fn take(&mut self, picture: usize, features: Arc<Features>) {
        self.features[picture] = Some(features);
        self.encoding = None;
    }
}
