//! A cache of what was used last.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps what was used last, up to a number of bytes. Values are cheap to clone: shared ones.
#[derive(Debug)]
pub struct ByteCache<K, V> {
    limit_bytes: usize,
    used_bytes: usize,
    clock: u64,
    entries: HashMap<K, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    last_use: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> ByteCache<K, V> {
    /// An empty cache that keeps up to `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: 0, clock: 0, entries: HashMap::new() }
    }

    /// Keeps no more than this from now on.
    pub fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
        while self.used_bytes > self.limit_bytes && self.evict_oldest() {}
    }

    /// The value of `key`, which counts as used.
    pub fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.last_use = self.clock;
        Some(entry.value.clone())
    }

    /// Keeps `value`, which takes `bytes`; those used longest ago make room. What is larger than the whole cache is not
    /// kept, and what is there already stays.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        if bytes > self.limit_bytes || self.entries.contains_key(&key) {
            return;
        }
        while self.used_bytes + bytes > self.limit_bytes && self.evict_oldest() {}
        self.clock += 1;
        self.used_bytes += bytes;
        self.entries.insert(key, Entry { value, bytes, last_use: self.clock });
    }

    fn evict_oldest(&mut self) -> bool {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(key, _)| *key);
        let Some(entry) = oldest.and_then(|key| self.entries.remove(&key)) else { return false };
        self.used_bytes -= entry.bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut cache = ByteCache::new(32);
        cache.insert(1, 'a', 16);
        cache.insert(2, 'b', 16);
        assert_eq!(cache.get(&1), Some('a'));
        cache.insert(3, 'c', 16);
        assert_eq!((cache.get(&1), cache.get(&2), cache.get(&3)), (Some('a'), None, Some('c')));
        assert_eq!(cache.used_bytes, 32);
    }

    #[test]
    fn what_exceeds_the_cache_is_not_kept_and_evicts_nothing() {
        let mut cache = ByteCache::new(32);
        cache.insert(1, 'a', 32);
        cache.insert(2, 'b', 33);
        assert_eq!((cache.get(&1), cache.get(&2)), (Some('a'), None));
    }

    #[test]
    fn a_lower_limit_drops_what_was_used_longest_ago() {
        let mut cache = ByteCache::new(32);
        cache.insert(1, 'a', 16);
        cache.insert(2, 'b', 16);
        cache.set_limit(31);
        assert_eq!((cache.get(&1), cache.get(&2)), (None, Some('b')));
        cache.set_limit(0);
        assert_eq!((cache.get(&2), cache.used_bytes), (None, 0));
    }

    #[test]
    fn a_key_counts_once() {
        let mut cache = ByteCache::new(64);
        cache.insert(1, 'a', 16);
        cache.insert(1, 'b', 16);
        assert_eq!((cache.get(&1), cache.used_bytes), (Some('a'), 16));
    }
}
