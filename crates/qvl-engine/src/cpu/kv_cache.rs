//! Keys and values of one sequence.
//!
//! Each layer has one buffer for its keys and one for its values, [heads, capacity, head size]. A buffer is an anonymous
//! memory map: rows that were never written take no memory. Rows beyond the sequence's length mean nothing.

use std::{io, mem};

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use memmap2::MmapMut;
use qvl_kernels::{CacheElement, KeyValues, attend_causal};
use zerocopy::{FromBytes, Immutable, IntoBytes};

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

/// Type of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheNumber {
    /// Single precision.
    Float32,
    /// Half precision.
    Float16,
}

impl KvShape {
    /// Bytes of a buffer for `capacity` tokens; saturates where no machine has so much memory.
    pub(super) fn buffer_bytes(&self, capacity: usize) -> usize {
        let size = match self.number {
            CacheNumber::Float32 => size_of::<f32>(),
            CacheNumber::Float16 => size_of::<f16>(),
        };
        [self.heads, capacity, self.head_size].into_iter().fold(size, usize::saturating_mul)
    }
}

/// The buffers of one sequence.
#[derive(Debug)]
pub(super) struct KvCache {
    shape: KvShape,
    /// Keys and values of each layer.
    layers: Vec<[MmapMut; 2]>,
    capacity: usize,
}

impl KvCache {
    /// Room for `capacity` tokens.
    pub(super) fn new(shape: KvShape, capacity: usize) -> io::Result<Self> {
        let buffer = || MmapMut::map_anon(shape.buffer_bytes(capacity));
        let layers = (0..shape.layers).map(|_| Ok([buffer()?, buffer()?])).collect::<io::Result<_>>()?;
        Ok(Self { shape, layers, capacity })
    }

    /// Number of tokens that there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes room for `capacity` tokens and keeps the first `len`. After an error the cache is as before.
    pub(super) fn grow(&mut self, capacity: usize, len: usize) -> io::Result<()> {
        let mut larger = Self::new(self.shape, capacity)?;
        let row = self.shape.buffer_bytes(1) / self.shape.heads;
        // Each old buffer is given back once it is copied, so that no more than one is there twice.
        let old = mem::take(&mut self.layers);
        for (old, new) in old.into_iter().flatten().zip(larger.layers.iter_mut().flatten()) {
            for (old, new) in old.chunks_exact(self.capacity * row).zip(new.chunks_exact_mut(capacity * row)) {
                new[..len * row].copy_from_slice(&old[..len * row]);
            }
        }
        *self = larger;
        Ok(())
    }

    /// Writes `keys` and `values` [tokens, heads, head size] of layer `layer` behind the first `past` tokens.
    pub(super) fn write(&mut self, layer: usize, past: usize, keys: &[f32], values: &[f32]) {
        for (buffer, rows) in self.layers[layer].iter_mut().zip([keys, values]) {
            match self.shape.number {
                CacheNumber::Float32 => write::<f32>(self.shape, self.capacity, past, rows, buffer),
                CacheNumber::Float16 => write::<f16>(self.shape, self.capacity, past, rows, buffer),
            }
        }
    }

    /// Attention of the last `m` of `len` tokens in layer `layer`; `query` and `out` are [m, query heads, head size].
    pub(super) fn attend(&self, layer: usize, query: &[f32], m: usize, len: usize, out: &mut [f32]) {
        match self.shape.number {
            CacheNumber::Float32 => self.attend_to::<f32>(layer, query, m, len, out),
            CacheNumber::Float16 => self.attend_to::<f16>(layer, query, m, len, out),
        }
    }

    fn attend_to<T: Number>(&self, layer: usize, query: &[f32], m: usize, len: usize, out: &mut [f32]) {
        let [keys, values] = &self.layers[layer];
        let KvShape { heads, head_size, .. } = self.shape;
        let cache =
            KeyValues { keys: T::of_map(keys), values: T::of_map(values), heads, capacity: self.capacity, head_size };
        let query_heads = query.len() / (m * head_size);
        attend_causal(query, m, query_heads, &cache, len - m, out);
    }
}

/// Writes `rows` [tokens, heads, head size] to `buffer` behind the first `past` tokens.
fn write<T: Number>(shape: KvShape, capacity: usize, past: usize, rows: &[f32], buffer: &mut MmapMut) {
    let KvShape { heads, head_size, .. } = shape;
    let buffer = T::of_map_mut(buffer);
    for (token, row) in rows.chunks_exact(heads * head_size).enumerate() {
        for (head, values) in row.chunks_exact(head_size).enumerate() {
            let start = (head * capacity + past + token) * head_size;
            T::convert(values, &mut buffer[start..start + head_size]);
        }
    }
}

/// A number of a buffer.
trait Number: CacheElement + FromBytes + IntoBytes + Immutable {
    /// Rounds `values` into `out`.
    fn convert(values: &[f32], out: &mut [Self]);

    fn of_map(map: &MmapMut) -> &[Self] {
        match <[Self]>::ref_from_bytes(map) {
            Ok(numbers) => numbers,
            Err(_) => unreachable!("a map begins at a page and holds whole numbers"),
        }
    }

    fn of_map_mut(map: &mut MmapMut) -> &mut [Self] {
        match <[Self]>::mut_from_bytes(map) {
            Ok(numbers) => numbers,
            Err(_) => unreachable!("a map begins at a page and holds whole numbers"),
        }
    }
}

impl Number for f32 {
    fn convert(values: &[f32], out: &mut [f32]) {
        out.copy_from_slice(values);
    }
}

impl Number for f16 {
    fn convert(values: &[f32], out: &mut [f16]) {
        out.convert_from_f32_slice(values);
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
        for (layer, buffers) in cache.layers.iter().enumerate() {
            for (part, buffer) in buffers.iter().enumerate() {
                let numbers: Vec<f32> = match cache.shape.number {
                    CacheNumber::Float32 => f32::of_map(buffer).to_vec(),
                    CacheNumber::Float16 => f16::of_map(buffer).to_f32_vec(),
                };
                for head in 0..cache.shape.heads {
                    for token in 0..tokens {
                        for place in 0..cache.shape.head_size {
                            let found = numbers[(head * cache.capacity + token) * cache.shape.head_size + place];
                            assert_eq!(found, value(layer, part, token, head, place));
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_row_is_in_its_place_after_writing_and_growing(
            (layers, heads, head_size) in (1..3_usize, 1..4_usize, 1..9_usize),
            (first, second, spare) in (0..9_usize, 1..9_usize, 0..5_usize),
            is_half: bool,
        ) {
            let number = if is_half { CacheNumber::Float16 } else { CacheNumber::Float32 };
            let shape = KvShape { layers, heads, head_size, number };
            let mut cache = KvCache::new(shape, first.max(1)).unwrap();
            for layer in 0..layers {
                cache.write(layer, 0, &rows(shape, layer, 0, 0..first), &rows(shape, layer, 1, 0..first));
            }
            check(&cache, first);
            cache.grow(first.max(1) + second + spare, first).unwrap();
            prop_assert_eq!(cache.capacity(), first.max(1) + second + spare);
            let all = first + second;
            for layer in 0..layers {
                cache.write(layer, first, &rows(shape, layer, 0, first..all), &rows(shape, layer, 1, first..all));
            }
            check(&cache, all);
        }
    }

    #[test]
    fn too_large_a_cache_is_an_error() {
        let shape = KvShape { layers: 1, heads: 1 << 10, head_size: 1 << 10, number: CacheNumber::Float32 };
        assert!(KvCache::new(shape, 1 << 40).is_err());
        let mut small = KvCache::new(KvShape { heads: 1, head_size: 4, ..shape }, 3).unwrap();
        small.write(0, 0, &[1.0; 12], &[2.0; 12]);
        assert!(small.grow(1 << 60, 3).is_err());
        assert_eq!((small.capacity(), f32::of_map(&small.layers[0][1])), (3, &[2.0; 12][..]));
    }
}
