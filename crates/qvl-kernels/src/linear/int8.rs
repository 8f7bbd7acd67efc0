//! Products of rounded rows with matrices in blocks.
//!
//! All sums are made in the same order, whatever the instruction set, the number of threads and the number of rows: an
//! output begins at 0; block after block, the integer sum is converted to float32, multiplied by the product of both
//! scales and added with one rounding; the bias is added last.

#[cfg(target_arch = "x86_64")]
mod direct;
pub(crate) mod kernel;
mod panel;
mod peak;
mod rounded;
mod tile;
mod vectors;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_dot;
mod portable;

use kernel::Int8Kernel;
use rounded::{Format, Rounded};

use super::pieces::{Piece, cut};
use super::{Blocks, Elements, Input, Linear};
use crate::pool::{current_num_threads, for_each};

/// Rounded rows that stay in the second cache while panels go by, in bytes.
const RESIDENT: usize = 1 << 18;

/// Multiplications that are worth handing out: a few microseconds.
const SMALL: usize = 1 << 17;

/// The same where one row goes in: codes are read at several places of a piece, each for long enough to be fetched ahead.
const SMALL_OF_ROW: usize = 1 << 19;

/// Pieces for each thread, so that none waits long for the others at the end.
const PIECES: usize = 3;

/// The most panels of a piece that is computed by stretches. More would not be faster.
const MOST_PANELS: usize = 4;

/// The most rows of a piece, a multiple of any tile's height: a stretch of them stays in the second cache.
const MOST_ROWS: usize = 768;

/// A product.
pub(crate) struct Job<'a> {
    blocks: Blocks<'a>,
    bias: Option<&'a [f32]>,
    rounded: &'a Rounded,
}

/// Computes those of `products` whose matrix is in blocks; the shapes have been checked.
pub(super) fn linear(kernel: &Int8Kernel, input: Input<'_>, m: usize, products: Vec<&mut Linear<'_>>) {
    let mut formats: Vec<Format> = Vec::new();
    for product in &products {
        if let Elements::Blocks(blocks) = product.matrix.elements
            && !formats.contains(&format(kernel, &blocks))
        {
            formats.push(format(kernel, &blocks));
        }
    }
    let Some(inputs) = products.first().map(|product| product.matrix.inputs) else { return };
    if inputs == 0 || m == 0 {
        products.into_iter().for_each(Linear::without_inputs);
        return;
    }
    let rounded = Rounded::in_formats(kernel, input, inputs, formats);
    run(kernel, inputs, m, products, &rounded);
}

fn run(kernel: &Int8Kernel, inputs: usize, m: usize, products: Vec<&mut Linear<'_>>, rounded: &[Rounded]) {
    let by_panels = m * inputs <= RESIDENT;
    let (mut jobs, mut pieces) = (Vec::new(), Vec::new());
    for Linear { matrix, bias, out } in products {
        let Elements::Blocks(blocks) = matrix.elements else { continue };
        let Some(rounded) = rounded.iter().find(|rounded| rounded.format == format(kernel, &blocks)) else { continue };
        let columns = columns(kernel.width, inputs, m, matrix.outputs, by_panels);
        cut(out, jobs.len(), matrix.outputs, (MOST_ROWS, columns), &mut pieces);
        jobs.push(Job { blocks, bias: *bias, rounded });
    }
    let compute = |mut piece: Piece<'_>| kernel.compute(&jobs[piece.product], &mut piece, by_panels);
    for_each(pieces.into_iter(), compute);
}

/// What rows are rounded to for a product with `blocks`.
fn format(kernel: &Int8Kernel, blocks: &Blocks<'_>) -> Format {
    let centre = if kernel.centred && blocks.bits == 8 { 128 } else { 0 };
    Format { size: blocks.size, bits: blocks.bits, zero_point: (1 << (blocks.bits - 1)) - centre }
}

/// How many columns the pieces of a product have, a multiple of `width`.
fn columns(width: usize, inputs: usize, m: usize, outputs: usize, by_panels: bool) -> usize {
    let for_all = outputs.div_ceil(width) / (PIECES * current_num_threads());
    let panels = if by_panels {
        let panels = |small: usize| small.div_ceil(m * inputs * width);
        if m == 1 { panels(SMALL_OF_ROW).min(for_all).max(panels(SMALL)) } else { panels(SMALL) }
    } else {
        for_all.clamp(1, MOST_PANELS)
    };
    panels * width
}
