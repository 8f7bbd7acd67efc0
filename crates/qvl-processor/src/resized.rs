//! A picture at the size at which the model sees it.

use std::fmt;
use std::sync::Arc;

use qvl_checkpoint::Grid;

use crate::patches::{Normalizer, PatchShape, patchify};
use crate::{Patches, Rgb8};

/// A picture that an [`ImageProcessor`](crate::ImageProcessor) has resized. Its patches take eight times the memory, and most of
/// the work is done.
#[derive(Clone)]
pub struct ResizedPicture {
    pub(crate) picture: Rgb8,
    /// [`Rgb8::content_hash`] of the picture before it was resized.
    pub(crate) source_hash: [u8; 32],
    pub(crate) shape: PatchShape,
    pub(crate) normalizer: Arc<Normalizer>,
}

impl ResizedPicture {
    /// The pixels; both sides are multiples of a merged patch's.
    #[must_use]
    pub fn picture(&self) -> &Rgb8 {
        &self.picture
    }

    /// The picture as the vision tower takes it.
    #[must_use]
    pub fn patches(&self) -> Patches {
        patchify(&[&self.picture], self.shape, &self.normalizer)
    }

    /// What [`patches`](Self::patches) gives, but for the patches.
    pub(crate) fn without_patches(&self) -> Patches {
        let Rgb8 { width, height, .. } = self.picture;
        let grid = Grid { t: 1, h: height / self.shape.patch, w: width / self.shape.patch };
        Patches { pixel_values: Vec::new(), grid, width, height }
    }
}

impl fmt::Debug for ResizedPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResizedPicture").field(&self.picture).finish()
    }
}
