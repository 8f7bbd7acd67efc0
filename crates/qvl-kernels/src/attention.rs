//! Attention over a KV cache, and of all positions of a frame to each other.
//!
//! Blocks of keys and values are read once for many query rows, and no row of scores is ever whole: Dao et al.,
//! "FlashAttention", arXiv:2205.14135. Long pasts are cut into stretches that are computed side by side and then merged
//! ("Flash-Decoding", split-k). Blocks and stretches begin at fixed positions and are summed in their order, so a row of
//! a result depends neither on the number of threads nor on the rows that are computed beside it.

mod block;
mod element;
#[cfg(target_arch = "x86_64")]
pub(crate) mod int16;
mod int8_block;
mod lines;
mod partial;
mod pieces;
#[cfg(test)]
mod plain;
mod queries;
mod stretch;

use crate::lanes::Unit;
use crate::linear::Arithmetic;
pub use element::{CacheElement, KEY_PANEL};
pub use int8_block::Int8Block;
use lines::{Lines, Panels, panels_of};
use pieces::Attention;
use queries::{Queries, Seen};

/// Keys and values of one layer.
#[derive(Debug, Clone, Copy)]
pub struct KeyValues<'a, T> {
    /// [heads, capacity / [`KEY_PANEL`], elements of a panel]; see [`CacheElement::round_key`].
    pub keys: &'a [T],
    /// [heads, capacity, elements of a head].
    pub values: &'a [T],
    /// Key-value heads.
    pub heads: usize,
    /// Positions that there is room for, a multiple of [`KEY_PANEL`].
    pub capacity: usize,
    /// Size of a head.
    pub head_size: usize,
}

/// Attention of `m` new positions to `past` earlier ones and to themselves up to each.
///
/// `query` and `out` are [m, query heads, head size]; each stretch of query heads / key-value heads shares a key-value head.
/// The new positions' keys and values are in the cache already, from position `past` on. Scores are scaled by the inverse
/// square root of the head size. Shared by the threads of the current pool.
///
/// # Panics
/// If a length does not fit, or the cache has no room for `past + m` positions.
#[track_caller]
pub fn attend_causal<T: CacheElement>(
    query: &[f32],
    m: usize,
    query_heads: usize,
    cache: &KeyValues<'_, T>,
    past: usize,
    out: &mut [f32],
) {
    check_causal(query, m, query_heads, cache, past, out);
    causal(Unit::best(), query, query_heads, cache, past).run(m, out);
}

fn causal<'a, T: CacheElement>(
    unit: Unit,
    query: &'a [f32],
    query_heads: usize,
    cache: &KeyValues<'a, T>,
    past: usize,
) -> Attention<'a, T> {
    let KeyValues { keys, values, heads, capacity, head_size } = *cache;
    let stride = T::count(head_size);
    let head_stride = capacity * stride;
    Attention {
        unit,
        queries: Queries {
            data: query,
            stride: query_heads * head_size,
            heads,
            group: query_heads / heads,
            head_size,
            seen: Seen::UpTo { past },
        },
        keys: Panels { data: keys, head_stride },
        values: Lines { data: values, head_stride, stride },
    }
}

#[track_caller]
fn check_causal<T: CacheElement>(
    query: &[f32],
    m: usize,
    query_heads: usize,
    cache: &KeyValues<'_, T>,
    past: usize,
    out: &[f32],
) {
    let KeyValues { keys, values, heads, capacity, head_size } = *cache;
    assert!(head_size > 0, "heads of no size");
    assert_eq!(query.len(), m * query_heads * head_size, "queries");
    assert_eq!(out.len(), query.len(), "output");
    assert!(keys.len() == heads * capacity * T::count(head_size) && values.len() == keys.len(), "cache");
    assert!(capacity.is_multiple_of(KEY_PANEL), "a capacity of {capacity}");
    assert!(past + m <= capacity, "{past} and {m} positions in a cache for {capacity}");
    assert!(heads > 0 && query_heads.is_multiple_of(heads), "{query_heads} query heads on {heads}");
}

/// Attention of each of `n` positions to all of them.
///
/// `query`, `key`, `value` and `out` are [n, heads, head size], whose rows are `stride` numbers apart in the first three:
/// they may be parts of longer rows. Scores are scaled by the inverse square root of the head size. With
/// others than [`Arithmetic::Float32`] products are computed in int16 where that is faster. Takes memory for the keys
/// once more, or in int16 for keys and values at half their size. Shared by the threads of the current pool.
///
/// # Panics
/// If a length does not fit.
#[track_caller]
pub fn attend_full(
    qkv: [&[f32]; 3],
    stride: usize,
    n: usize,
    heads: usize,
    head_size: usize,
    arithmetic: Arithmetic,
    out: &mut [f32],
) {
    check_full(qkv, stride, n, heads, head_size, out);
    let frame = Frame::new(qkv, stride, n, heads, head_size);
    match arithmetic {
        Arithmetic::Float32 => frame.attend(Unit::best(), n, out),
        Arithmetic::Int16 | Arithmetic::Bf16 | Arithmetic::Int8 => frame.attend_rounded(n, out),
    }
}

/// Positions that all see each other.
struct Frame<'a> {
    queries: Queries<'a>,
    keys: Lines<'a, f32>,
    values: Lines<'a, f32>,
}

impl<'a> Frame<'a> {
    fn new([query, keys, values]: [&'a [f32]; 3], stride: usize, count: usize, heads: usize, head_size: usize) -> Self {
        let lines = |data| Lines { data, head_stride: head_size, stride };
        let seen = Seen::All { count };
        let queries = Queries { data: query, stride, heads, group: 1, head_size, seen };
        Self { queries, keys: lines(keys), values: lines(values) }
    }

    /// In float32.
    fn attend(&self, unit: Unit, n: usize, out: &mut [f32]) {
        let Queries { heads, head_size, .. } = self.queries;
        let keys = panels_of(&self.keys, n, heads, head_size);
        let keys = Panels { data: &keys, head_stride: keys.len() / heads };
        Attention { unit, queries: self.queries, keys, values: self.values }.run(n, out);
    }

    /// With operands in int16 where that is faster.
    #[cfg(target_arch = "x86_64")]
    fn attend_rounded(&self, n: usize, out: &mut [f32]) {
        match crate::int16::best() {
            Some(kernel) => int16::run(kernel, self, n, out),
            None => self.attend(Unit::best(), n, out),
        }
    }

    /// Products in int16 are not faster here.
    #[cfg(not(target_arch = "x86_64"))]
    fn attend_rounded(&self, n: usize, out: &mut [f32]) {
        self.attend(Unit::best(), n, out);
    }
}

#[track_caller]
fn check_full(qkv: [&[f32]; 3], stride: usize, n: usize, heads: usize, head_size: usize, out: &[f32]) {
    let width = heads * head_size;
    assert!(heads > 0 && head_size > 0, "heads of no size");
    assert!(stride >= width && out.len() == n * width, "shapes");
    assert!(qkv.iter().all(|part| n == 0 || part.len() >= (n - 1) * stride + width), "rows");
}

#[cfg(test)]
mod tests;
