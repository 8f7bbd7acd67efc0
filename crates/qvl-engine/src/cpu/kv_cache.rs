//! Keys and values of one sequence.
//!
//! Each layer has one buffer for its keys, [heads, panels, a panel's elements], and one for its values, [heads, capacity, a
//! head's elements]: keys are multiplied many positions at once, and so they stand. A buffer is an anonymous memory map:
//! what was never written takes no memory. What is there beyond the sequence's length means nothing.

use std::{io, mem};

use half::f16;
use memmap2::MmapMut;
use qvl_kernels::{Int8Block, KEY_PANEL, KeyValues, attend_causal};

use super::cache_number::{CacheNumber, Element};

/// What the buffers of a text decoder have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KvShape {
    /// Number of layers.
    pub(super) layers: usize,
    /// Heads of keys and values.
    pub(super) heads: usize,
    /// Values in a head.
    pub(super) head_size: usize,
    /// Type of the values.
    pub(super) number: CacheNumber,
}

impl KvShape {
    /// Bytes of keys and values of a token, all layers together.
    pub(super) fn token_bytes(&self) -> usize {
        self.buffer_bytes(1).saturating_mul(2 * self.layers)
    }

    /// Bytes of a buffer for `capacity` tokens; saturates where no machine has so much memory.
    pub(super) fn buffer_bytes(&self, capacity: usize) -> usize {
        let head = self.number.head_bytes(self.head_size);
        self.heads.saturating_mul(capacity).saturating_mul(head)
    }
}

/// The buffers of one sequence.
#[derive(Debug)]
pub(super) struct KvCache {
    shape: KvShape,
    /// Keys and values of each layer.
    layers: Vec<[MmapMut; 2]>,
    capacity: usize,
    /// Tokens whose rows were ever written.
    written: usize,
}

impl KvCache {
    /// Room for `capacity` tokens, and as many more as make panels whole.
    pub(super) fn new(shape: KvShape, capacity: usize) -> io::Result<Self> {
        let capacity = capacity.div_ceil(KEY_PANEL).saturating_mul(KEY_PANEL);
        let buffer = || MmapMut::map_anon(shape.buffer_bytes(capacity));
        let layers = (0..shape.layers).map(|_| Ok([buffer()?, buffer()?])).collect::<io::Result<_>>()?;
        Ok(Self { shape, layers, capacity, written: 0 })
    }

    /// Number of tokens that there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of memory that the rows take, those that were cut off included.
    pub(super) fn bytes(&self) -> usize {
        self.written.saturating_mul(self.shape.token_bytes())
    }

    /// Makes room for `capacity` tokens and keeps the first `len`. After an error the cache is as before.
    pub(super) fn grow(&mut self, capacity: usize, len: usize) -> io::Result<()> {
        let mut larger = Self::new(self.shape, capacity)?;
        // Each old buffer is given back once it is copied, so that no more than one is there twice.
        let old = mem::take(&mut self.layers);
        for (old, new) in old.into_iter().flatten().zip(larger.layers.iter_mut().flatten()) {
            copy_heads(self.shape, (&old, self.capacity), (new, larger.capacity), len);
        }
        larger.written = len;
        *self = larger;
        Ok(())
    }

    /// A copy of the first `len` tokens, with room for `capacity`.
    pub(super) fn fork(&self, capacity: usize, len: usize) -> io::Result<Self> {
        let mut copy = Self::new(self.shape, capacity)?;
        for (from, to) in self.layers.iter().flatten().zip(copy.layers.iter_mut().flatten()) {
            copy_heads(self.shape, (from, self.capacity), (to, copy.capacity), len);
        }
        copy.written = len;
        Ok(copy)
    }

    /// Writes `keys` and `values` [tokens, heads, head size] of layer `layer` behind the first `past` tokens.
    pub(super) fn write(&mut self, layer: usize, past: usize, keys: &[f32], values: &[f32]) {
        self.written = self.written.max(past + keys.len() / (self.shape.heads * self.shape.head_size));
        match self.shape.number {
            CacheNumber::Float32 => self.write_as::<f32>(layer, past, keys, values),
            CacheNumber::Float16 => self.write_as::<f16>(layer, past, keys, values),
            CacheNumber::Int8 => self.write_as::<Int8Block>(layer, past, keys, values),
        }
    }

    fn write_as<T: Element>(&mut self, layer: usize, past: usize, keys: &[f32], values: &[f32]) {
        let KvShape { heads, head_size, .. } = self.shape;
        let [key_map, value_map] = &mut self.layers[layer];
        let (key_map, value_map, count) = (T::of_map_mut(key_map), T::of_map_mut(value_map), T::count(head_size));
        for head in 0..heads {
            let start = head * self.capacity * count;
            let row = |token: usize| (token * heads + head) * head_size..(token * heads + head + 1) * head_size;
            for (token, place) in (0..keys.len() / (heads * head_size)).zip(past..) {
                let panel = start + place / KEY_PANEL * KEY_PANEL * count;
                T::round_key(&keys[row(token)], &mut key_map[panel..][..KEY_PANEL * count], place % KEY_PANEL);
                T::round(&values[row(token)], &mut value_map[start + place * count..][..count]);
            }
        }
    }

    /// Attention of the last `m` of `len` tokens in layer `layer`; `query` and `out` are [m, query heads, head size].
    pub(super) fn attend(&self, layer: usize, query: &[f32], m: usize, len: usize, out: &mut [f32]) {
        match self.shape.number {
            CacheNumber::Float32 => self.attend_to::<f32>(layer, query, m, len, out),
            CacheNumber::Float16 => self.attend_to::<f16>(layer, query, m, len, out),
            CacheNumber::Int8 => self.attend_to::<Int8Block>(layer, query, m, len, out),
        }
    }

    fn attend_to<T: Element>(&self, layer: usize, query: &[f32], m: usize, len: usize, out: &mut [f32]) {
        let [keys, values] = &self.layers[layer];
        let KvShape { heads, head_size, .. } = self.shape;
        let cache =
            KeyValues { keys: T::of_map(keys), values: T::of_map(values), heads, capacity: self.capacity, head_size };
        let query_heads = query.len() / (m * head_size);
        attend_causal(query, m, query_heads, &cache, len - m, out);
    }
}

/// Copies every head's panels of the first `len` tokens from one buffer to another; a buffer has room for so many tokens.
fn copy_heads(shape: KvShape, (from, room): (&[u8], usize), (to, new_room): (&mut [u8], usize), len: usize) {
    let row = shape.number.head_bytes(shape.head_size);
    let bytes = len.next_multiple_of(KEY_PANEL) * row;
    for (from, to) in from.chunks_exact(room * row).zip(to.chunks_exact_mut(new_room * row)) {
        to[..bytes].copy_from_slice(&from[..bytes]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value that tells its layer, part, token, head and place, and that half precision holds.
    fn value(layer: usize, part: usize, token: usize, head: usize, place: usize) -> f32 {
        ((layer * 2 + part) * 31 + token * 7 + head * 3 + place) as f32 / 4.0
    }

    fn rows(shape: KvShape, layer: usize, part: usize, tokens: std::ops::Range<usize>) -> Vec<f32> {
        let token = |token| {
            (0..shape.heads * shape.head_size)
                .map(move |i| value(layer, part, token, i / shape.head_size, i % shape.head_size))
        };
        tokens.flat_map(token).collect()
    }

    fn check(cache: &KvCache, tokens: usize) {
        match cache.shape.number {
            CacheNumber::Float32 => check_of::<f32>(cache, tokens, 0.0),
            CacheNumber::Float16 => check_of::<f16>(cache, tokens, 0.0),
            // Half a step of the largest value, which is 163.25.
            CacheNumber::Int8 => check_of::<Int8Block>(cache, tokens, 0.65),
        }
    }

    fn check_of<T: Element>(cache: &KvCache, tokens: usize, tolerance: f32) {
        let KvShape { heads, head_size, .. } = cache.shape;
        let count = T::count(head_size);
        for (layer, [keys, values]) in cache.layers.iter().enumerate() {
            let panels: Vec<&[T]> = T::of_map(keys).chunks(count * KEY_PANEL).collect();
            let lines: Vec<&[T]> = T::of_map(values).chunks(count).collect();
            for (head, token) in (0..heads).flat_map(|head| (0..tokens).map(move |token| (head, token))) {
                let row = head * cache.capacity + token;
                for place in 0..head_size {
                    let key = T::key_number(panels[row / KEY_PANEL], row % KEY_PANEL, place);
                    for (part, found) in [key, T::number(lines[row], place)].into_iter().enumerate() {
                        let expected = value(layer, part, token, head, place);
                        assert!((found - expected).abs() <= tolerance, "{found} for {expected}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_row_is_in_its_place_after_writing_and_growing(
            (layers, heads, head_size) in (1..3_usize, 1..4_usize, 1..9_usize),
            (first, second, spare) in (0..40_usize, 1..40_usize, 0..5_usize),
            number in prop::sample::select(vec![CacheNumber::Float32, CacheNumber::Float16, CacheNumber::Int8]),
        ) {
            let shape = KvShape { layers, heads, head_size, number };
            let mut cache = KvCache::new(shape, first.max(1)).unwrap();
            for layer in 0..layers {
                cache.write(layer, 0, &rows(shape, layer, 0, 0..first), &rows(shape, layer, 1, 0..first));
            }
            check(&cache, first);
            cache.grow(first.max(1) + second + spare, first).unwrap();
            prop_assert_eq!(cache.capacity(), (first.max(1) + second + spare).next_multiple_of(KEY_PANEL));
            let all = first + second;
            for layer in 0..layers {
                cache.write(layer, first, &rows(shape, layer, 0, first..all), &rows(shape, layer, 1, first..all));
            }
            check(&cache, all);
            prop_assert_eq!(cache.bytes(), all * shape.token_bytes());
            let fork = cache.fork(first + spare + 1, first).unwrap();
            check(&fork, first);
            let room = (first + spare + 1).next_multiple_of(KEY_PANEL);
            prop_assert_eq!((fork.capacity(), fork.bytes()), (room, first * shape.token_bytes()));
        }
    }

    #[test]
    fn too_large_a_cache_is_an_error() {
        let shape = KvShape { layers: 1, heads: 1 << 10, head_size: 1 << 10, number: CacheNumber::Float32 };
        assert!(KvCache::new(shape, 1 << 40).is_err());
        let mut small = KvCache::new(KvShape { heads: 1, head_size: 4, ..shape }, KEY_PANEL).unwrap();
        small.write(0, 0, &[1.0; 12], &[2.0; 12]);
        assert!(small.grow(1 << 60, 3).is_err());
        assert_eq!((small.capacity(), &f32::of_map(&small.layers[0][1])[..12]), (KEY_PANEL, &[2.0; 12][..]));
    }
}
