//! Vision features by content, so that a picture is encoded once.

use std::collections::HashMap;
use std::sync::Arc;

use qvl_checkpoint::Grid;
use qvl_engine::Features;

/// What makes two pictures the same: their pixels after preprocessing, and the grid these form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct VisionKey {
    pub(crate) content: [u8; 32],
    pub(crate) grid: Grid,
}

/// Features of the pictures used last, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct VisionCache {
    limit_bytes: usize,
    used_bytes: usize,
    clock: u64,
    entries: HashMap<VisionKey, Entry>,
}

#[derive(Debug)]
struct Entry {
    features: Arc<Features>,
    last_use: u64,
}

impl VisionCache {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, clock: 0, entries: HashMap::new() }
    }

    /// Keeps no more than this from now on.
    pub(crate) fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
        while self.used_bytes > self.limit_bytes && self.evict_oldest() {}
    }

    /// The features of a picture that was encoded before.
    pub(crate) fn get(&mut self, key: &VisionKey) -> Option<Arc<Features>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.last_use = self.clock;
        Some(Arc::clone(&entry.features))
    }

    /// Keeps `features`; those used longest ago make room. Features larger than the whole cache are not kept.
    pub(crate) fn insert(&mut self, key: VisionKey, features: Arc<Features>) {
        let bytes = bytes_of(&features);
        if bytes > self.limit_bytes || self.entries.contains_key(&key) {
            return;
        }
        while self.used_bytes + bytes > self.limit_bytes && self.evict_oldest() {}
        self.clock += 1;
        self.used_bytes += bytes;
        self.entries.insert(key, Entry { features, last_use: self.clock });
    }

    fn evict_oldest(&mut self) -> bool {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(key, _)| *key);
        let Some(entry) = oldest.and_then(|key| self.entries.remove(&key)) else { return false };
        self.used_bytes -= bytes_of(&entry.features);
        true
    }
}

fn bytes_of(features: &Features) -> usize {
    size_of_val(features.data.as_slice())
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
    fn the_picture_used_longest_ago_makes_room() {
        let mut cache = VisionCache::new(32);
        cache.insert(key(1), features(4));
        cache.insert(key(2), features(4));
        assert!(cache.get(&key(1)).is_some());
        cache.insert(key(3), features(4));
        assert!(cache.get(&key(2)).is_none());
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(3)).is_some());
        assert_eq!(cache.used_bytes, 32);
    }

    #[test]
    fn what_exceeds_the_cache_is_not_kept_and_evicts_nothing() {
        let mut cache = VisionCache::new(32);
        cache.insert(key(1), features(8));
        cache.insert(key(2), features(9));
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(2)).is_none());
    }

    #[test]
    fn a_lower_limit_drops_what_was_used_longest_ago() {
        let mut cache = VisionCache::new(32);
        cache.insert(key(1), features(4));
        cache.insert(key(2), features(4));
        cache.set_limit(31);
        assert!(cache.get(&key(1)).is_none() && cache.get(&key(2)).is_some());
        cache.set_limit(0);
        assert_eq!((cache.get(&key(2)), cache.used_bytes), (None, 0));
    }

    #[test]
    fn the_same_picture_counts_once_and_another_grid_is_another_picture() {
        let mut cache = VisionCache::new(64);
        cache.insert(key(1), features(4));
        cache.insert(key(1), features(4));
        assert_eq!(cache.used_bytes, 16);
        let turned = VisionKey { grid: Grid { t: 1, h: 1, w: 4 }, ..key(1) };
        assert!(cache.get(&turned).is_none());
    }
}
