//! Pictures that were prepared before: a conversation brings them along with every turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qvl::media::{ImageError, ResizedPicture, Rgb8};
use qvl::{ByteCache, PixelBudget, Processor};
use sha2::{Digest as _, Sha256};

/// What makes two pictures the same: the bytes of their files, and the size that they may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PictureKey {
    file: [u8; 32],
    budget: Option<PixelBudget>,
}

impl PictureKey {
    pub(super) fn new(file: &[u8], budget: Option<PixelBudget>) -> Self {
        Self { file: Sha256::digest(file).into(), budget }
    }
}

/// Resized pictures, those used last, up to a number of bytes. All are for one processor.
#[derive(Debug)]
pub(crate) struct KeptPictures(Mutex<ByteCache<PictureKey, Kept>>);

/// A picture as the model sees it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) picture: Arc<ResizedPicture>,
    /// Pixels before it was resized.
    pub(super) source_pixels: u64,
}

impl KeptPictures {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self(Mutex::new(ByteCache::new(limit_bytes)))
    }

    pub(super) fn get(&self, key: &PictureKey) -> Option<Kept> {
        self.lock().get(key)
    }

    /// Resizes a picture, and keeps what becomes of it.
    ///
    /// # Errors
    /// If its shape is none that the model can be shown.
    pub(super) fn resize(
        &self,
        key: PictureKey,
        source: &Rgb8,
        processor: &Processor,
    ) -> Result<Arc<ResizedPicture>, ImageError> {
        let picture = Arc::new(processor.images().resize(source, key.budget.as_ref())?);
        let kept = Kept { picture: Arc::clone(&picture), source_pixels: (source.width * source.height) as u64 };
        self.lock().insert(key, kept, picture.picture().data.len());
        Ok(picture)
    }

    /// No code that holds the lock can panic halfway through a change, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, ByteCache<PictureKey, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
