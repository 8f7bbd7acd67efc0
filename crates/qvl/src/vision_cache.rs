//! Vision features by content, so that a picture is encoded once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use qvl_checkpoint::Grid;
use qvl_engine::{Encoding, Features};

use crate::byte_cache::ByteCache;

/// What makes two pictures the same: their pixels after preprocessing, and the grid these form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VisionKey {
    pub(crate) content: [u8; 32],
    pub(crate) grid: Grid,
}

/// Features of the pictures used last, up to a number of bytes, and of those that are being encoded.
#[derive(Debug)]
pub(crate) struct VisionCache {
    features: ByteCache<VisionKey, Arc<Features>>,
    /// Alive as long as a prompt waits for them.
    under_way: HashMap<VisionKey, Weak<Mutex<SharedEncoding>>>,
}

/// An encoding that all prompts with the picture do parts of.
#[derive(Debug)]
pub(crate) struct SharedEncoding {
    pub(crate) encoding: Encoding,
    /// What is encoded, if it was computed for this, from the first part to the last.
    pub(crate) pixels: Option<Vec<f32>>,
    /// When it is over.
    pub(crate) features: Option<Arc<Features>>,
}

impl VisionCache {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { features: ByteCache::new(limit_bytes), under_way: HashMap::new() }
    }

    /// Keeps no more than this from now on.
    pub(crate) fn set_limit(&mut self, limit_bytes: usize) {
        self.features.set_limit(limit_bytes);
    }

    /// The features of a picture that was encoded before.
    pub(crate) fn get(&mut self, key: &VisionKey) -> Option<Arc<Features>> {
        self.features.get(key)
    }

    /// Keeps `features`; those used longest ago make room.
    pub(crate) fn insert(&mut self, key: VisionKey, features: Arc<Features>) {
        let bytes = size_of_val(features.data.as_slice());
        self.features.insert(key, features, bytes);
    }

    /// The encoding of a picture, from its beginning if nobody has begun.
    pub(crate) fn join(&mut self, key: VisionKey) -> Arc<Mutex<SharedEncoding>> {
        if let Some(encoding) = self.under_way.get(&key).and_then(Weak::upgrade) {
            return encoding;
        }
        self.under_way.retain(|_, encoding| encoding.strong_count() > 0);
        let encoding = SharedEncoding { encoding: Encoding::new(&[key.grid]), pixels: None, features: None };
        let encoding = Arc::new(Mutex::new(encoding));
        self.under_way.insert(key, Arc::downgrade(&encoding));
        encoding
    }
}

/// A panic would leave the encoding where it was before the part that failed.
pub(crate) fn lock(encoding: &Mutex<SharedEncoding>) -> MutexGuard<'_, SharedEncoding> {
    encoding.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(content: u8) -> VisionKey {
        VisionKey { content: [content; 32], grid: Grid { t: 1, h: 2, w: 2 } }
    }

    fn features(floats: usize) -> Arc<Features> {
        Arc::new(Features { rows: 1, width: floats, data: vec![0.0; floats] })
    }

    #[test]
    fn features_count_by_their_bytes() {
        let mut cache = VisionCache::new(32);
        cache.insert(key(1), features(8));
        cache.insert(key(2), features(9));
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(2)).is_none());
    }

    #[test]
    fn another_grid_is_another_picture() {
        let mut cache = VisionCache::new(64);
        cache.insert(key(1), features(4));
        let turned = VisionKey { grid: Grid { t: 1, h: 1, w: 4 }, ..key(1) };
        assert!(cache.get(&turned).is_none());
    }

    #[test]
    fn an_encoding_is_shared_until_nobody_waits_for_it() {
        let mut cache = VisionCache::new(0);
        let first = cache.join(key(1));
        assert!(Arc::ptr_eq(&first, &cache.join(key(1))));
        assert!(!Arc::ptr_eq(&first, &cache.join(key(2))));
        drop(first);
        assert!(lock(&cache.join(key(1))).features.is_none());
        assert_eq!(cache.under_way.len(), 1, "what was dropped is forgotten");
    }
}
