//! Products of rows with matrices in float16, both rounded to int16.
//!
//! Inputs are cut into blocks. In each of them a row is rounded by its own largest magnitude, and so are the weights of
//! each output; a block's sum of products is exact, and the blocks are added up in float32, in their order.

mod piece;
mod rounded;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use half::f16;

pub(crate) use super::pieces::Piece;
use super::pieces::cut;
use super::{Elements, Linear};
use crate::int16::Int16Kernel;
use crate::pool::{current_num_threads, for_each, lock};
pub(crate) use piece::multiply;
use rounded::Rounded;
pub(crate) use rounded::{Panels, Strip, round_strip};

/// Inputs of a block.
const BLOCK: usize = 128;

/// Pairs of inputs of a block.
const PAIRS: usize = BLOCK / 2;

/// The largest magnitude of a code: a block's sum of products stays below 2³¹.
const LARGEST: f32 = 4_095.0;

/// The most columns of a piece: in 1,152 inputs their codes take 288 KiB of the second cache.
const COLUMNS: usize = 128;

/// The most rows of a piece, a multiple of any tile's height: so many that rounding the weights for each of them costs
/// a few hundredths of the products.
const MOST_ROWS: usize = 1536;

/// Pieces for each thread, so that none waits long for the others at the end.
const PIECES: usize = 3;

/// A product.
pub(crate) struct Job<'a> {
    rounded: &'a Rounded,
    /// [inputs, outputs].
    weights: &'a [f16],
    inputs: usize,
    outputs: usize,
    bias: Option<&'a [f32]>,
}

/// Computes `product`, whose weights are in float16, of the rows `x` [m, inputs]; the shapes have been checked.
pub(super) fn linear(kernel: &Int16Kernel, x: &[f32], product: &mut Linear<'_>) {
    let Elements::Float16(weights) = product.matrix.elements else { return };
    let (inputs, outputs) = (product.matrix.inputs, product.matrix.outputs);
    if inputs == 0 || product.out.is_empty() {
        return product.without_inputs();
    }
    let rounded = Rounded::new(kernel, x, inputs);
    let job = Job { rounded: &rounded, weights, inputs, outputs, bias: product.bias };
    let width = 2 * kernel.lanes;
    let panels = (outputs.div_ceil(width) / (PIECES * current_num_threads())).clamp(1, COLUMNS / width);
    let mut pieces = Vec::new();
    cut(product.out, 0, outputs, (MOST_ROWS, panels * width), &mut pieces);
    let buffers = Mutex::new(Vec::new());
    for_each(pieces.into_iter(), |piece| {
        let mut panels = lock(&buffers).pop().unwrap_or_default();
        kernel.multiply(&job, piece, &mut panels);
        lock(&buffers).push(panels);
    });
}
