//! Products of numbers that are rounded to int16, with twice as many of them an instruction as in float32.
//!
//! Sums of products are exact as long as they stay below 2³¹: who rounds chooses the largest codes accordingly. bf16
//! products would have 8 bits of each number, and on Intel's processors those of vectors are half as fast as in
//! float32.

mod avx2;
mod avx512;
mod kernel;
mod tile;
mod words;

use crate::rounding;
#[cfg(test)]
pub(crate) use kernel::available;
pub(crate) use kernel::{Int16Kernel, best};
pub(crate) use tile::multiply;
pub(crate) use words::Words;

/// The code of `x`: the nearest integer to `x` · `inverse`.
#[inline(always)]
pub(crate) fn code(x: f32, inverse: f32) -> i16 {
    rounding::code(x, inverse) as i16
}

/// The codes of two lines, pair by pair; each column has an inverse.
#[inline(always)]
pub(crate) fn code_pairs(first: &[f32], second: &[f32], inverses: &[f32], codes: &mut [[i16; 2]]) {
    for (((pair, inverse), first), second) in codes.iter_mut().zip(inverses).zip(first).zip(second) {
        *pair = [code(*first, *inverse), code(*second, *inverse)];
    }
}
