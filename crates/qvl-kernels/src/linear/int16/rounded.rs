//! Rows and weights in int16, in the order in which tiles read them.

use super::{BLOCK, Job, LARGEST, PAIRS};
use crate::int16::{Int16Kernel, code, code_pairs};
use crate::lanes::{Lanes, WIDEST, widen_with};
use crate::pool::for_each;
use crate::product::Aligned;
use crate::rounding::{inverse, largest};

/// Rows in int16, in strips as high as a tile. What is missing to the last strip or the last block is zeros.
pub(crate) struct Rounded {
    /// Blocks of a row.
    pub(super) blocks: usize,
    /// Rows of a strip.
    height: usize,
    /// [strips, blocks, pairs of a block, height].
    codes: Aligned<[i16; 2]>,
    /// By what products with the codes are multiplied, [strips, blocks, height].
    scales: Aligned,
}

/// A strip, before and after rounding.
pub(crate) struct Strip<'a> {
    /// The strip's rows, [height or fewer, inputs].
    x: &'a [f32],
    inputs: usize,
    height: usize,
    codes: &'a mut [[i16; 2]],
    scales: &'a mut [f32],
}

impl Rounded {
    /// Rounds the rows of `x`, which have `inputs` numbers each; there is one at least.
    pub(super) fn new(kernel: &Int16Kernel, x: &[f32], inputs: usize) -> Self {
        let (blocks, height) = (inputs.div_ceil(BLOCK), kernel.rows);
        let strips = (x.len() / inputs).div_ceil(height);
        let (scale_count, code_count) = (strips * blocks * height, strips * blocks * PAIRS * height);
        let mut rounded = Self { blocks, height, codes: Aligned::new(code_count), scales: Aligned::new(scale_count) };
        let codes = rounded.codes.take(code_count).chunks_mut(blocks * PAIRS * height);
        let scales = rounded.scales.take(scale_count).chunks_mut(blocks * height);
        let strips = x.chunks(height * inputs).zip(codes.zip(scales));
        for_each(strips, |(x, (codes, scales))| kernel.round_strip(Strip { x, inputs, height, codes, scales }));
        rounded
    }

    /// The codes [pairs, height] and scales [height] of block `block` of strip `strip`.
    pub(super) fn block(&self, strip: usize, block: usize) -> (&[[i16; 2]], &[f32]) {
        let (index, each) = (strip * self.blocks + block, PAIRS * self.height);
        (&self.codes.get()[index * each..][..each], &self.scales.get()[index * self.height..][..self.height])
    }
}

/// Rounds a strip. A block with NaN or infinity gets such a scale.
#[inline(always)]
pub(crate) fn round_strip(strip: Strip<'_>) {
    let Strip { x, inputs, height, codes, scales } = strip;
    for (row, x) in x.chunks(inputs).enumerate() {
        let blocks = x.chunks(BLOCK).zip(codes.chunks_mut(PAIRS * height)).zip(scales.chunks_mut(height));
        for ((x, codes), scales) in blocks {
            let largest = x.iter().fold(0.0, |magnitude, x| largest(magnitude, *x));
            let inverse = inverse(LARGEST, largest);
            scales[row] = largest / LARGEST;
            let mut line = [0; BLOCK];
            line.iter_mut().zip(x).for_each(|(to, x)| *to = code(*x, inverse));
            let places = codes.iter_mut().skip(row).step_by(height);
            places.zip(line.as_chunks::<2>().0).for_each(|(place, pair)| *place = *pair);
        }
    }
}

/// Weights in int16, in groups of outputs as wide as a tile. What is missing to the last block is zeros; what is missing
/// to the last group has any value.
#[derive(Default)]
pub(crate) struct Panels {
    /// [groups, blocks, pairs of a block, outputs].
    codes: Aligned<[i16; 2]>,
    /// By what products with the codes are multiplied, [groups, blocks, outputs].
    scales: Aligned,
    /// A block's weights in float32, [inputs, columns of the piece].
    wide: Aligned,
}

impl Panels {
    /// Rounds the weights of `count` outputs from number `column` on; a group has as many as two vectors.
    #[inline(always)]
    pub(super) fn round<V: Lanes>(&mut self, job: &Job<'_>, column: usize, count: usize) {
        let (width, blocks) = (2 * V::COUNT, job.rounded.blocks);
        let padded = count.next_multiple_of(width);
        let codes = self.codes.take(padded * blocks * PAIRS);
        let scales = self.scales.take(padded * blocks);
        let wide = self.wide.take(BLOCK * padded);
        for block in 0..blocks {
            let inputs = block * BLOCK..job.inputs.min((block + 1) * BLOCK);
            for (wide, input) in wide.chunks_exact_mut(padded).zip(inputs.clone()) {
                widen_with::<V>(&job.weights[input * job.outputs + column..][..count], &mut wide[..count]);
            }
            wide[inputs.len() * padded..].fill(0.0);
            for (group, first) in (0..padded).step_by(width).enumerate() {
                let index = group * blocks + block;
                let scales = &mut scales[index * width..][..width];
                round_group(wide, padded, first, &mut codes[index * PAIRS * width..][..PAIRS * width], scales);
            }
        }
    }

    /// The codes [pairs, outputs] and scales [outputs] of block `block` of `blocks` of the group `group`.
    pub(super) fn block(&self, group: usize, block: usize, blocks: usize, width: usize) -> (&[[i16; 2]], &[f32]) {
        let (index, each) = (group * blocks + block, PAIRS * width);
        (&self.codes.get()[index * each..][..each], &self.scales.get()[index * width..][..width])
    }
}

/// Rounds a group of the columns of `wide`, whose rows are `stride` long, each by its largest magnitude.
#[inline(always)]
fn round_group(wide: &[f32], stride: usize, first: usize, codes: &mut [[i16; 2]], scales: &mut [f32]) {
    let width = scales.len();
    scales.fill(0.0);
    for row in wide.chunks_exact(stride) {
        scales.iter_mut().zip(&row[first..]).for_each(|(scale, x)| *scale = largest(*scale, *x));
    }
    let mut inverses = [0.0; 2 * WIDEST];
    inverses.iter_mut().zip(&*scales).for_each(|(to, largest)| *to = inverse(LARGEST, *largest));
    for (pair, codes) in codes.chunks_exact_mut(width).enumerate() {
        let (even, odd) =
            (&wide[2 * pair * stride + first..][..width], &wide[(2 * pair + 1) * stride + first..][..width]);
        code_pairs(even, odd, &inverses, codes);
    }
    scales.iter_mut().for_each(|scale| *scale /= LARGEST);
}
