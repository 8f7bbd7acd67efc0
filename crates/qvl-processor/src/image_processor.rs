//! From a decoded picture to patches (reference/SPEC.md §1).

use crate::patches::{Normalizer, PatchShape, patchify};
use crate::resize::resize;
use crate::smart_resize::smart_resize;
use crate::{ImageError, Patches, PixelBudget, PreprocessorConfig, Rgb8};

/// Resizes, normalises and cuts pictures as one checkpoint wants them.
#[derive(Debug, Clone)]
pub struct ImageProcessor {
    shape: PatchShape,
    budget: PixelBudget,
    normalizer: Normalizer,
}

impl ImageProcessor {
    /// A processor for a checked configuration.
    #[must_use]
    pub fn from_config(config: &PreprocessorConfig) -> Self {
        Self { shape: config.shape(), budget: config.budget, normalizer: Normalizer::new(config.mean, config.std) }
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
        picture.check()?;
        let (height, width) = self.target_size(picture.height, picture.width, budget)?;
        let resized = resize(picture, height, width)?;
        Ok(patchify(&[resized.as_ref()], self.shape, &self.normalizer))
    }
}
