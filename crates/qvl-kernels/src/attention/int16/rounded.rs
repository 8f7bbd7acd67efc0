//! Keys and values in int16, in the order in which products read them.

use super::{BLOCK, Frame, HeadLines, LARGEST_VALUE, LARGEST_WEIGHT, largest_key};
use crate::int16::{Int16Kernel, code, code_pairs};
use crate::pool::for_each;
use crate::product::Aligned;
use crate::rounding::{inverse, largest};

/// Where some rounded lines go.
pub(crate) struct Lane<'a> {
    /// Lines, or columns of values, that lie side by side.
    pub(super) width: usize,
    /// Of lines [groups of `width` lines, pairs of a line's numbers, `width`]; of values [pairs of positions, `width`].
    pub(super) codes: &'a mut [[i16; 2]],
    /// By what products with the codes are multiplied: a number for each line, or for each column of values.
    pub(super) scales: &'a mut [f32],
}

/// The keys and values of all heads, in blocks; positions that are missing to the last one are zeros.
pub(crate) struct Rounded {
    /// Blocks of a head.
    blocks: usize,
    /// Pairs of a position's numbers.
    pub(super) pairs: usize,
    /// Numbers of a row of values, in whole vectors.
    pub(super) width: usize,
    keys: Aligned<[i16; 2]>,
    key_scales: Aligned,
    values: Aligned<[i16; 2]>,
    value_scales: Aligned,
}

/// The keys and values of a head in a block of positions.
pub(super) struct Block<'a> {
    /// [panels, pairs, two vectors of positions].
    pub(super) keys: &'a [[i16; 2]],
    /// [`BLOCK`].
    pub(super) key_scales: &'a [f32],
    /// [pairs of positions, width].
    pub(super) values: &'a [[i16; 2]],
    /// [width].
    pub(super) value_scales: &'a [f32],
}

impl Rounded {
    /// Rounds the keys and values of a frame of so many positions.
    pub(super) fn new(kernel: &Int16Kernel, frame: &Frame<'_>, positions: usize) -> Self {
        let size = frame.queries.head_size;
        let (blocks, pairs, width) = (positions.div_ceil(BLOCK), size.div_ceil(2), size.next_multiple_of(kernel.lanes));
        let count = frame.queries.heads * blocks;
        let mut rounded = Self {
            blocks,
            pairs,
            width,
            keys: Aligned::new(count * BLOCK * pairs),
            key_scales: Aligned::new(count * BLOCK),
            values: Aligned::new(count * BLOCK / 2 * width),
            value_scales: Aligned::new(count * width),
        };
        let keys = rounded.keys.take(count * BLOCK * pairs).chunks_mut(BLOCK * pairs);
        let keys = keys.zip(rounded.key_scales.take(count * BLOCK).chunks_mut(BLOCK));
        let values = rounded.values.take(count * BLOCK / 2 * width).chunks_mut(BLOCK / 2 * width);
        let values = values.zip(rounded.value_scales.take(count * width).chunks_mut(width));
        for_each(keys.zip(values).enumerate(), |(index, (keys, values))| {
            let (head, first) = (index / blocks, index % blocks * BLOCK);
            let range = first..positions.min(first + BLOCK);
            let lines = frame.keys.of_head(head, &range, size);
            kernel.round_lines(lines, Lane { width: 2 * kernel.lanes, codes: keys.0, scales: keys.1 });
            let lines = frame.values.of_head(head, &range, size);
            kernel.round_values(lines, Lane { width, codes: values.0, scales: values.1 });
        });
        rounded
    }

    /// The blocks of head `head`.
    pub(super) fn blocks(&self, head: usize) -> impl Iterator<Item = Block<'_>> {
        (head * self.blocks..(head + 1) * self.blocks).map(|index| Block {
            keys: &self.keys.get()[index * BLOCK * self.pairs..][..BLOCK * self.pairs],
            key_scales: &self.key_scales.get()[index * BLOCK..][..BLOCK],
            values: &self.values.get()[index * BLOCK / 2 * self.width..][..BLOCK / 2 * self.width],
            value_scales: &self.value_scales.get()[index * self.width..][..self.width],
        })
    }
}

/// Rounds lines, each by its largest magnitude; a line with NaN or infinity gets such a scale.
#[inline(always)]
pub(crate) fn round_lines(lines: HeadLines<'_, f32>, to: Lane<'_>) {
    let (limit, pairs) = (largest_key(lines.size), lines.size.div_ceil(2));
    for (index, scale) in to.scales.iter_mut().enumerate().take(lines.count) {
        let line = lines.line(index);
        let largest = line.iter().fold(0.0, |magnitude, x| largest(magnitude, *x));
        let inverse = inverse(limit, largest);
        *scale = largest / limit;
        let group = &mut to.codes[index / to.width * to.width * pairs..][..to.width * pairs];
        let places = group.iter_mut().skip(index % to.width).step_by(to.width);
        let (twos, rest) = line.as_chunks::<2>();
        let last = rest.first().map(|x| [*x, 0.0]);
        for (place, two) in places.zip(twos.iter().chain(&last)) {
            *place = [code(two[0], inverse), code(two[1], inverse)];
        }
    }
}

/// Rounds the values of a block, each column by its largest magnitude; one with NaN or infinity gets such a scale.
#[inline(always)]
pub(crate) fn round_values(lines: HeadLines<'_, f32>, to: Lane<'_>) {
    let scales = &mut to.scales[..lines.size];
    for index in 0..lines.count {
        for (scale, x) in scales.iter_mut().zip(lines.line(index)) {
            *scale = largest(*scale, *x);
        }
    }
    let inverses: Vec<f32> = scales.iter().map(|largest| inverse(LARGEST_VALUE, *largest)).collect();
    let missing = vec![0.0; lines.size];
    for (pair, codes) in to.codes.chunks_mut(to.width).enumerate().take(lines.count.div_ceil(2)) {
        let first = lines.line(2 * pair);
        let second = if 2 * pair + 1 < lines.count { lines.line(2 * pair + 1) } else { &missing };
        code_pairs(first, second, &inverses, codes);
    }
    // The codes of weights are so many times the weights.
    scales.iter_mut().for_each(|scale| *scale /= LARGEST_VALUE * LARGEST_WEIGHT);
}
