//! What the tests compare with: one query after another, with all its scores at once.

use super::{CacheElement, KeyValues};

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
        let seen = &keys[head * capacity * count..][..(past + row + 1) * count];
        let values = &values[head * capacity * count..][..seen.len()];
        attend(query, seen, values, out);
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
            attend(query, &keys, &values, &mut out[row * width + head * head_size..][..head_size]);
        }
    }
}

/// One query over keys and values [n, elements of a head].
fn attend<T: CacheElement>(query: &[f32], keys: &[T], values: &[T], out: &mut [f32]) {
    let (count, scale) = (T::count(query.len()), 1.0 / (query.len() as f64).sqrt());
    let numbers = |line: &[T]| (0..query.len()).map(|at| f64::from(T::number(line, at))).collect::<Vec<f64>>();
    let dot = |key: &[T]| query.iter().zip(numbers(key)).map(|(q, k)| f64::from(*q) * k).sum::<f64>() * scale;
    let mut scores: Vec<f64> = keys.chunks(count).map(dot).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let total: f64 = scores.iter().sum();
    let mut sums = vec![0.0; query.len()];
    for (score, value) in scores.iter().zip(values.chunks(count)) {
        sums.iter_mut().zip(numbers(value)).for_each(|(sum, value)| *sum += score / total * value);
    }
    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
}
