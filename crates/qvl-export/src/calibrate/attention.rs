//! Causal attention within each prompt.

use std::ops::Range;

use qvl_checkpoint::TextConfig;
use rayon::prelude::*;

/// Grouped-query attention: `q` [tokens, query heads · head size], `k` and `v` [tokens, key-value heads · head size] to
/// [tokens, query heads · head size]. Tokens see those before them in their own prompt.
pub(super) fn attention(q: &[f32], k: &[f32], v: &[f32], config: &TextConfig, prompts: &[Range<usize>]) -> Vec<f32> {
    let size = config.head_dim;
    let (heads, groups) = (config.num_attention_heads, config.num_key_value_heads);
    let (wide, narrow) = (heads * size, groups * size);
    let mut starts = vec![0; q.len() / wide];
    for prompt in prompts {
        starts[prompt.clone()].fill(prompt.start);
    }
    let mut out = vec![0.0; q.len()];
    out.par_chunks_exact_mut(wide).zip(starts).enumerate().for_each(|(token, (out, start))| {
        let mut scores = vec![0.0; token + 1 - start];
        for (head, out) in out.chunks_exact_mut(size).enumerate() {
            let group = head / (heads / groups);
            let query = &q[token * wide + head * size..][..size];
            for (other, score) in (start..).zip(&mut scores) {
                *score = dot(query, &k[other * narrow + group * size..][..size]) / (size as f32).sqrt();
            }
            softmax(&mut scores);
            for (other, score) in (start..).zip(&scores) {
                let value = &v[other * narrow + group * size..][..size];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += score * value);
            }
        }
    });
    out
}

fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let total: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= total);
}

/// In eight sums, which can be computed side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}
