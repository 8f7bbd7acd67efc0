//! Attention of a frame's positions to each other in int16, with twice as many products an instruction as in float32.
//!
//! Queries and keys are rounded each by its own largest magnitude, values by the largest of their column in a block of
//! positions, and what a row weighs a block's values by to 14 bits of the row's largest weight in that block. The sums
//! of products are exact; weights, totals and the sums over the blocks are float32. bf16 products would have 8 bits of
//! each number, and on Intel's processors those of vectors are half as fast as in float32.

mod piece;
mod rounded;
#[cfg(test)]
mod tests;

use super::Frame;
pub(crate) use super::lines::HeadLines;
pub(crate) use super::queries::{Piece, Queries};
use crate::int16::Int16Kernel;
use crate::pool::for_each;
pub(crate) use piece::attend;
pub(crate) use rounded::{Lane, Rounded, round_lines, round_values};

/// Positions of a block of keys and values.
const BLOCK: usize = 64;

/// The largest weight, as an integer.
const LARGEST_WEIGHT: f32 = 16_384.0;

/// The largest magnitude of a rounded value: a block's products with weights stay below 2³¹.
const LARGEST_VALUE: f32 = 2_047.0;

/// The largest magnitude of rounded queries and keys of so many numbers: their products stay below 2³¹.
fn largest_key(size: usize) -> f32 {
    (f64::from(i32::MAX) / size as f64).sqrt().min(f64::from(i16::MAX)).floor() as f32
}

/// Computes attention of a frame's `positions` positions to `out`.
pub(super) fn run(kernel: &Int16Kernel, frame: &Frame<'_>, positions: usize, out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let (queries, rounded) = (&frame.queries, Rounded::new(kernel, frame, positions));
    for_each(queries.pieces(positions, out).into_iter(), |piece| kernel.attend(queries, &rounded, piece));
}
