//! Some rows over all blocks of positions: two small products with a softmax between them.

use std::f32::consts::LOG2_E;

use super::rounded::{Block, Lane, Rounded};
use super::{BLOCK, HeadLines, LARGEST_WEIGHT, Piece, Queries};
use crate::int16::{Int16Kernel, Words, multiply};
use crate::lanes::{self, Lanes, WIDEST};
use crate::product::Aligned;

/// Rows that are multiplied together, and what they have gathered.
struct Rows<'a> {
    /// [pairs, rows].
    queries: &'a [[i16; 2]],
    /// By what a row's products are multiplied.
    scales: &'a [f32],
    /// The largest score of each row, −∞ before there was one. Scores are logarithms to the base 2.
    tops: &'a mut [f32],
    /// The sum of each row's 2^(score − top), in as many parts as a vector has lanes.
    totals: &'a mut [f32],
    /// The sum of each row's 2^(score − top) · value, [rows, width].
    sums: &'a mut [f32],
}

/// Numbers of `R` rows for a block, on whole cache lines.
#[repr(align(64))]
struct Table<T, const R: usize>([[T; BLOCK]; R]);

/// Computes a piece by panels of `R` rows. The last panel is filled up with rows of zeros.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
pub(crate) unsafe fn attend<W: Words, const R: usize>(
    kernel: &Int16Kernel,
    all: &Queries<'_>,
    rounded: &Rounded,
    piece: Piece<'_>,
) {
    let (size, positions) = (all.head_size, all.seen.by(0));
    let (count, pairs, width) = (piece.rows.len().next_multiple_of(R), rounded.pairs, rounded.width);
    let (mut queries, mut scales) = (vec![[0; 2]; count * pairs], vec![0.0; count]);
    let lines = HeadLines {
        data: &all.data[piece.first * all.stride + piece.head * size..],
        stride: all.stride,
        count: piece.rows.len(),
        size,
    };
    kernel.round_lines(lines, Lane { width: R, codes: &mut queries, scales: &mut scales });
    let factor = LOG2_E / (size as f32).sqrt();
    scales.iter_mut().for_each(|scale| *scale *= factor);
    let (mut tops, mut totals) = (vec![f32::NEG_INFINITY; count], vec![0.0; count * W::COUNT]);
    let mut sums = Aligned::new(count * width);
    for (index, block) in rounded.blocks(piece.head).enumerate() {
        for first in (0..count).step_by(R) {
            let rows = Rows {
                queries: &queries[first * pairs..][..R * pairs],
                scales: &scales[first..][..R],
                tops: &mut tops[first..][..R],
                totals: &mut totals[first * W::COUNT..][..R * W::COUNT],
                sums: &mut sums.take(count * width)[first * width..][..R * width],
            };
            // SAFETY: the caller's.
            unsafe { add::<W, R>(&block, positions - index * BLOCK, rows) }
        }
    }
    for (index, out) in piece.rows.into_iter().enumerate() {
        let total: f32 = totals[index * W::COUNT..][..W::COUNT].iter().sum();
        out.iter_mut().zip(&sums.get()[index * width..]).for_each(|(out, sum)| *out = sum / total);
    }
}

/// Adds a block, of whose positions there are `count` if not all, to `rows`.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
unsafe fn add<W: Words, const R: usize>(block: &Block<'_>, count: usize, rows: Rows<'_>) {
    let mut scores = Table([[0.0; BLOCK]; R]);
    let mut weights = Table([[0; BLOCK]; R]);
    let mut tops = [f32::NEG_INFINITY; WIDEST];
    // SAFETY: the caller's.
    unsafe {
        for first in (0..BLOCK).step_by(2 * W::COUNT) {
            score::<W, R>(block, first, &rows, &mut scores.0);
        }
        if count < BLOCK {
            scores.0.iter_mut().for_each(|row| row[count..].fill(f32::NEG_INFINITY));
        }
        for (top, scores) in tops.iter_mut().zip(&scores.0) {
            *top = largest::<W>(scores);
        }
        let factors = factors::<W>(rows.tops, &tops);
        for row in 0..R {
            let total = weigh::<W>(&scores.0[row], tops[row], &mut weights.0[row]);
            let totals = &mut rows.totals[row * W::COUNT..];
            let before = W::load(totals).mul(W::splat(factors[0][row]));
            total.mul_add(W::splat(factors[1][row]), before).store(totals);
        }
        let (width, weights) = (rows.sums.len() / R, weights.0.as_flattened());
        let twos = width / (2 * W::COUNT) * (2 * W::COUNT);
        for column in (0..twos).step_by(2 * W::COUNT) {
            sum::<W, R, 2>(block, column, weights, &factors, rows.sums);
        }
        if twos < width {
            sum::<W, R, 1>(block, twos, weights, &factors, rows.sums);
        }
    }
}

/// Computes two vectors of the scores of each row, from position `first` of the block on.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
unsafe fn score<W: Words, const R: usize>(
    block: &Block<'_>,
    first: usize,
    rows: &Rows<'_>,
    scores: &mut [[f32; BLOCK]; R],
) {
    let pairs = rows.queries.len() / R;
    let keys = &block.keys[first * pairs..][..2 * W::COUNT * pairs];
    let key_scales = [W::load(&block.key_scales[first..]), W::load(&block.key_scales[first + W::COUNT..])];
    // SAFETY: the caller's; there are as many pairs of queries as of keys.
    unsafe {
        let queries = rows.queries.as_flattened().as_ptr();
        let products = multiply::<W, R, 2, 2>(pairs, keys.as_ptr(), 2 * W::COUNT, queries, 2 * R);
        for ((scores, products), scale) in scores.iter_mut().zip(products).zip(rows.scales) {
            let scale = W::splat(*scale);
            W::to_floats(products[0]).mul(key_scales[0].mul(scale)).store(&mut scores[first..]);
            W::to_floats(products[1]).mul(key_scales[1].mul(scale)).store(&mut scores[first + W::COUNT..]);
        }
    }
}

#[inline(always)]
fn largest<V: Lanes>(scores: &[f32; BLOCK]) -> f32 {
    let mut top = V::load(scores);
    for scores in scores.chunks_exact(V::COUNT) {
        top = V::load(scores).max(top);
    }
    top.largest()
}

/// Brings the largest scores `tops` of the rows up to date with those of a block. Gives by what the rows' sums before and
/// those of the block are to be multiplied.
#[inline(always)]
fn factors<V: Lanes>(tops: &mut [f32], of_block: &[f32; WIDEST]) -> [[f32; WIDEST]; 2] {
    let mut before = [f32::NEG_INFINITY; WIDEST];
    before[..tops.len()].copy_from_slice(tops);
    let (mut after, mut factors) = (before, [[0.0; WIDEST]; 2]);
    for first in (0..WIDEST).step_by(V::COUNT) {
        let (old, block) = (V::load(&before[first..]), V::load(&of_block[first..]));
        let new = old.max(block);
        new.store(&mut after[first..]);
        lanes::exp2(old.sub(new)).store(&mut factors[0][first..]);
        lanes::exp2(block.sub(new)).store(&mut factors[1][first..]);
    }
    tops.copy_from_slice(&after[..tops.len()]);
    factors
}

/// Rounds a row's 2^(score − top) to `weights` and gives their sum, lane by lane.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
unsafe fn weigh<W: Words>(scores: &[f32; BLOCK], top: f32, weights: &mut [i16; BLOCK]) -> W {
    let mut total = W::splat(0.0);
    for (scores, weights) in scores.chunks_exact(W::COUNT).zip(weights.chunks_exact_mut(W::COUNT)) {
        let weight = lanes::exp2(W::load(scores).sub(W::splat(top)));
        total = total.add(weight);
        // SAFETY: the caller's; there is room for a vector.
        unsafe { weight.mul(W::splat(LARGEST_WEIGHT)).store_words(weights.as_mut_ptr()) }
    }
    total
}

/// Brings `N` vectors of each row's `sums` up to date, from `column` on.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
unsafe fn sum<W: Words, const R: usize, const N: usize>(
    block: &Block<'_>,
    column: usize,
    weights: &[i16],
    factors: &[[f32; WIDEST]; 2],
    sums: &mut [f32],
) {
    let width = sums.len() / R;
    // SAFETY: the caller's; there are as many pairs of weights in a row as of values.
    let products =
        unsafe { multiply::<W, R, N, BLOCK>(BLOCK / 2, block.values[column..].as_ptr(), width, weights.as_ptr(), 2) };
    for (row, products) in products.into_iter().enumerate() {
        let (before, now) = (W::splat(factors[0][row]), W::splat(factors[1][row]));
        for (i, product) in products.into_iter().enumerate() {
            let column = column + i * W::COUNT;
            let scale = W::load(&block.value_scales[column..]).mul(now);
            let sums = &mut sums[row * width + column..];
            // SAFETY: the caller's.
            let product = unsafe { W::to_floats(product) };
            product.mul_add(scale, W::load(sums).mul(before)).store(sums);
        }
    }
}
