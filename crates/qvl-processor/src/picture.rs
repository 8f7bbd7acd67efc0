//! A decoded picture in memory.

use sha2::{Digest, Sha256};

use crate::ImageError;

/// An 8-bit RGB picture, rows from top to bottom, without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples, `[height, width, 3]`.
    pub data: Vec<u8>,
}

impl Rgb8 {
    /// Wraps samples laid out as `[height, width, 3]`.
    ///
    /// # Errors
    /// [`ImageError::BadLayout`] when `data` is not `width * height * 3` bytes long,
    /// [`ImageError::NoPixels`] when a side is 0.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Result<Self, ImageError> {
        let picture = Self { width, height, data };
        picture.check()?;
        Ok(picture)
    }

    /// Checks what [`Rgb8::new`] promises: the fields are public, so a picture may have been built without it.
    pub(crate) fn check(&self) -> Result<(), ImageError> {
        if self.width == 0 || self.height == 0 {
            return Err(ImageError::NoPixels { width: self.width, height: self.height });
        }
        let expected = self.width.checked_mul(self.height).and_then(|n| n.checked_mul(3));
        if expected != Some(self.data.len()) {
            return Err(ImageError::BadLayout { width: self.width, height: self.height, bytes: self.data.len() });
        }
        Ok(())
    }

    /// SHA-256 over width, height (both as little-endian `u64`) and the samples.
    ///
    /// Caches are keyed by this, never by a path: two pictures with the same bytes in different shapes get different keys.
    #[must_use]
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update((self.width as u64).to_le_bytes());
        hash.update((self.height as u64).to_le_bytes());
        hash.update(&self.data);
        hash.finalize().into()
    }
}

impl std::fmt::Debug for Rgb8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rgb8({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_depends_on_the_shape() {
        let wide = Rgb8::new(2, 1, vec![7; 6]).unwrap();
        let tall = Rgb8::new(1, 2, vec![7; 6]).unwrap();
        assert_ne!(wide.content_hash(), tall.content_hash());
        assert_eq!(wide.content_hash(), wide.clone().content_hash());
    }

    #[test]
    fn layout_is_checked() {
        let error = Rgb8::new(2, 2, vec![0; 11]).unwrap_err();
        assert_eq!(error.to_string(), "a 2x2 RGB picture needs 3 bytes per pixel, but 11 bytes were given");
        let error = Rgb8::new(0, 2, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "the picture has no pixels (0x2)");
    }
}
