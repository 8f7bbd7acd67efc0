//! From a decoded picture to patches (reference/SPEC.md §1).

use std::borrow::Cow;
use std::sync::Arc;

use crate::patches::{Normalizer, PatchShape, patchify};
use crate::resize::resize;
use crate::smart_resize::smart_resize;
use crate::{ImageError, Patches, PixelBudget, PreprocessorConfig, ResizedPicture, Rgb8};

/// Resizes, normalises and cuts pictures as one checkpoint wants them.
#[derive(Debug, Clone)]
pub struct ImageProcessor {
    shape: PatchShape,
    budget: PixelBudget,
    normalizer: Arc<Normalizer>,
}

impl ImageProcessor {
    /// A processor for a checked configuration.
    #[must_use]
    pub fn from_config(config: &PreprocessorConfig) -> Self {
        let normalizer = Arc::new(Normalizer::new(config.mean, config.std));
        Self { shape: config.shape(), budget: config.budget, normalizer }
    }

    /// The budget used when a call names none.
    #[must_use]
    pub fn budget(&self) -> PixelBudget {
        self.budget
    }

    /// The size `(height, width)` a picture of this size is resized to.
    ///
    /// # Errors
    /// As [`smart_resize`].
    pub fn target_size(
        &self,
        height: usize,
        width: usize,
        budget: Option<&PixelBudget>,
    ) -> Result<(usize, usize), ImageError> {
        let budget = budget.unwrap_or(&self.budget);
        smart_resize(height, width, self.shape.factor(), budget)
    }

    /// Prepares one picture; the single frame fills every place of the temporal patch.
    ///
    /// # Errors
    /// [`ImageError::BadLayout`] or [`ImageError::NoPixels`] for a malformed picture, and what [`smart_resize`] refuses.
    pub fn process(&self, picture: &Rgb8, budget: Option<&PixelBudget>) -> Result<Patches, ImageError> {
        Ok(patchify(&[self.fit(picture, budget)?.as_ref()], self.shape, &self.normalizer))
    }

    /// The first half of [`process`](Self::process), for a picture that will be shown more than once;
    /// [`ResizedPicture::patches`] is the other.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn resize(&self, picture: &Rgb8, budget: Option<&PixelBudget>) -> Result<ResizedPicture, ImageError> {
        let resized = self.fit(picture, budget)?.into_owned();
        let (source_hash, normalizer) = (picture.content_hash(), Arc::clone(&self.normalizer));
        Ok(ResizedPicture { picture: resized, source_hash, shape: self.shape, normalizer })
    }

    fn fit<'p>(&self, picture: &'p Rgb8, budget: Option<&PixelBudget>) -> Result<Cow<'p, Rgb8>, ImageError> {
        picture.check()?;
        let (height, width) = self.target_size(picture.height, picture.width, budget)?;
        resize(picture, height, width)
    }
}
