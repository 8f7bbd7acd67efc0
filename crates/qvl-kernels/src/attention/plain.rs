//! What the tests compare with: one query after another, with all its scores at once.

use super::{CacheElement, KEY_PANEL, KeyValues};

/// As [`super::attend_causal`].
pub(super) fn causal<T: CacheElement>(
    query: &[f32],
    query_heads: usize,
    cache: &KeyValues<'_, T>,
    past: usize,
    out: &mut [f32],
) {
    let KeyValues { keys, values, heads, capacity, head_size } = *cache;
    let group = query_heads / heads;
    for ((index, query), out) in query.chunks(head_size).enumerate().zip(out.chunks_mut(head_size)) {
        let (row, head) = (index / query_heads, index % query_heads / group);
        let count = T::count(head_size);
        let panels = &keys[head * capacity * count..];
        let values = &values[head * capacity * count..];
        let seen = past + row + 1;
        let key = |position: usize, at| {
            T::key_number(&panels[position / KEY_PANEL * KEY_PANEL * count..], position % KEY_PANEL, at)
        };
        attend(query, seen, key, |position, at| T::number(&values[position * count..][..count], at), out);
    }
}

/// As [`super::attend_full`].
pub(super) fn full(qkv: [&[f32]; 3], stride: usize, n: usize, heads: usize, head_size: usize, out: &mut [f32]) {
    let width = heads * head_size;
    let part = |part: &[f32], head: usize| -> Vec<f32> {
        (0..n).flat_map(|row| part[row * stride + head * head_size..][..head_size].to_vec()).collect()
    };
    for head in 0..heads {
        let [query, keys, values] = qkv.map(|rows| part(rows, head));
        for (row, query) in query.chunks(head_size).enumerate() {
            let number = |rows: &[f32], position: usize, at: usize| rows[position * head_size + at];
            let out = &mut out[row * width + head * head_size..][..head_size];
            attend(
                query,
                n,
                |position, at| number(&keys, position, at),
                |position, at| number(&values, position, at),
                out,
            );
        }
    }
}

/// One query over the keys and values of `seen` positions, given by position and place in the head.
fn attend(
    query: &[f32],
    seen: usize,
    key: impl Fn(usize, usize) -> f32,
    value: impl Fn(usize, usize) -> f32,
    out: &mut [f32],
) {
    let scale = 1.0 / (query.len() as f64).sqrt();
    let product = |position: usize| {
        query.iter().enumerate().map(|(at, q)| f64::from(*q) * f64::from(key(position, at))).sum::<f64>() * scale
    };
    let mut scores: Vec<f64> = (0..seen).map(product).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let total: f64 = scores.iter().sum();
    for (at, out) in out.iter_mut().enumerate() {
        let sum: f64 =
            scores.iter().enumerate().map(|(position, score)| score / total * f64::from(value(position, at))).sum();
        *out = sum as f32;
    }
}
