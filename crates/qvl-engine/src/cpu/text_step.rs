//! New tokens of one sequence or several, on their way through the layers.

use std::mem;

use qvl_kernels::{Arithmetic, current_num_threads, for_each};

use super::kv_cache::KvCache;
use super::text_positions::RotaryTables;

/// The new tokens that all layers are run for.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// Number of tokens.
    pub(super) tokens: usize,
    /// The sequences that they belong to, in the order of the tokens.
    pub(super) parts: Vec<Part<'a>>,
    pub(super) rotary: &'a RotaryTables,
    pub(super) arithmetic: Arithmetic,
}

/// New tokens of one sequence.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) cache: &'a mut KvCache,
    /// Tokens in the cache before.
    pub(super) past: usize,
    /// Number of new tokens.
    pub(super) tokens: usize,
}

impl Step<'_> {
    /// Writes `keys` and `values` [tokens, heads, head size] of layer `layer` to the caches.
    pub(super) fn write(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let width = keys.len() / self.tokens;
        let mut first = 0;
        for Part { cache, past, tokens } in &mut self.parts {
            let rows = first * width..(first + *tokens) * width;
            cache.write(layer, *past, &keys[rows.clone()], &values[rows]);
            first += *tokens;
        }
    }

    /// Attention of the last `kept` tokens in layer `layer`, each in its own sequence; `query` and `out` are
    /// [kept, query heads, head size].
    pub(super) fn attend(&self, layer: usize, query: &[f32], kept: usize, out: &mut [f32]) {
        let width = query.len() / kept;
        let (mut dropped, mut query, mut out) = (self.tokens - kept, query, out);
        let mut shares = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let rows = part.tokens.saturating_sub(dropped);
            dropped = dropped.saturating_sub(part.tokens);
            let (own, rest) = query.split_at(rows * width);
            let (own_out, rest_out) = mem::take(&mut out).split_at_mut(rows * width);
            (query, out) = (rest, rest_out);
            if rows > 0 {
                shares.push((part, own, rows, own_out));
            }
        }
        let attend = |(part, query, rows, out): (&Part<'_>, &[f32], usize, &mut [f32])| {
            part.cache.attend(layer, query, rows, part.past + part.tokens, out);
        };
        // The threads share the attention of each of a few sequences, or take those of many in turn.
        if shares.len() < current_num_threads() {
            shares.into_iter().for_each(attend);
        } else {
            for_each(shares.into_iter(), attend);
        }
    }
}
