//! Products of rows with matrices in float16, both rounded to bf16, in AMX's tiles.
//!
//! Each number is rounded to the nearest of bf16, which has the exponents of float32 and 8 bits of its 24; products are
//! exact and summed in float32. Numbers below 2⁻¹²⁶ count as zero, and so do sums; numbers from 2¹²⁸ − 2¹¹⁹ on become
//! infinite. A sum goes through the inputs in their order in steps of 32, of which the even and the odd ones are summed
//! apart: it depends neither on how inputs, rows and outputs are cut for the caches, nor on the threads.

mod lines;
mod piece;
mod rows;
mod sums;
#[cfg(test)]
mod tests;
mod tiles;
mod weights;

use std::ops::Range;
use std::sync::Mutex;

use half::f16;

use super::pieces::{Piece, cut};
use super::{Elements, Linear};
use crate::amx::{BYTES, Bf16, ROWS};
use crate::pool::{current_num_threads, for_each, lock};
use lines::Line;
use piece::Buffers;
use rows::Rounded;

/// Inputs of a step: a row of a tile.
const STEP: usize = BYTES / size_of::<u16>();

/// Rows of a strip and columns of a group: two tiles of them, so that each tile that is loaded is multiplied twice.
const SIDE: usize = 2 * ROWS;

/// Lines of a strip or a group for a step.
const LINES: usize = SIDE;

/// The most steps of a stretch: 32 rows of so many inputs and many outputs' weights fit the second cache together.
const STRETCH: usize = 36;

/// The most bytes of a piece's weights, which stay in the second cache while the rows go by.
const WEIGHTS: usize = 768 << 10;

/// Pieces for each thread, so that none waits long for the others at the end.
const PIECES: usize = 3;

/// A product.
struct Job<'a> {
    rounded: &'a Rounded,
    /// [inputs, outputs].
    weights: &'a [f16],
    inputs: usize,
    outputs: usize,
    bias: Option<&'a [f32]>,
}

/// Computes `products`, whose weights are in float16, of the rows `x` [m, inputs]; the shapes have been checked.
pub(super) fn linear(machine: Bf16, x: &[f32], m: usize, products: Vec<&mut Linear<'_>>) {
    let Some(inputs) = products.first().map(|product| product.matrix.inputs) else { return };
    if inputs == 0 || m == 0 {
        return products.into_iter().for_each(Linear::without_inputs);
    }
    let rounded = Rounded::new(machine, x, inputs);
    let (mut jobs, mut pieces) = (Vec::new(), Vec::new());
    for Linear { matrix, bias, out } in products {
        let Elements::Float16(weights) = matrix.elements else { continue };
        let outputs = matrix.outputs;
        cut(out, jobs.len(), outputs, sides(m, inputs, outputs), &mut pieces);
        jobs.push(Job { rounded: &rounded, weights, inputs, outputs, bias: *bias });
    }
    let buffers = Mutex::new(Vec::new());
    for_each(pieces.into_iter(), |piece: Piece<'_>| {
        let mut taken = lock(&buffers).pop().unwrap_or_else(Buffers::default);
        piece::compute(machine, &jobs[piece.product], piece, &mut taken);
        lock(&buffers).push(taken);
    });
}

/// How many rows and columns the pieces of a product have: multiples of [`SIDE`].
///
/// What a piece reads of rows is used for all its columns, and the other way round, so neither may be few; rows should
/// be more, because weights are rounded again for each stretch of them.
fn sides(m: usize, inputs: usize, outputs: usize) -> (usize, usize) {
    let (all_rows, all_columns) = (m.div_ceil(SIDE), outputs.div_ceil(SIDE));
    let each = stretches(inputs.div_ceil(STEP), STRETCH).map(|stretch| stretch.len()).max().unwrap_or(1);
    let (mut rows, mut columns) = (all_rows, (WEIGHTS / (each * LINES * BYTES)).clamp(1, all_columns.max(1)));
    let wanted = match current_num_threads() {
        1 => 1,
        threads => PIECES * threads,
    };
    while all_rows.div_ceil(rows) * all_columns.div_ceil(columns) < wanted {
        if rows > 2 * columns {
            rows = rows.div_ceil(2);
        } else if columns > 1 {
            columns = columns.div_ceil(2);
        } else {
            break;
        }
    }
    (rows * SIDE, columns * SIDE)
}

/// Cuts `steps` steps into as few stretches of up to `most` as there can be, about as long as each other.
fn stretches(steps: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let each = steps.div_ceil(steps.div_ceil(most).max(1)).max(1);
    (0..steps).step_by(each).map(move |first| first..steps.min(first + each))
}
