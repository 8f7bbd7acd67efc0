//! Products of numbers that are rounded to int16, with twice as many of them an instruction as in float32.
//!
//! Sums of products are exact as long as they stay below 2³¹: who rounds chooses the largest codes accordingly. bf16
//! products would have 8 bits of each number, and on Intel's processors they are half as fast as those in float32.

mod avx2;
mod avx512;
mod kernel;
mod tile;
mod words;

#[cfg(test)]
pub(crate) use kernel::available;
pub(crate) use kernel::{Int16Kernel, best};
pub(crate) use tile::multiply;
pub(crate) use words::Words;

/// 1.5 · 2²³: a small number that is added to it is rounded to an integer, which is in the lowest bits then.
const ROUND: f32 = 12_582_912.0;

/// By what numbers up to `largest` are multiplied so that they become codes up to `limit`; 0 where that is not finite.
#[inline(always)]
pub(crate) fn inverse(limit: f32, largest: f32) -> f32 {
    let inverse = limit / largest;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// The code of `x`: the nearest integer to `x` · `inverse`.
#[inline(always)]
pub(crate) fn code(x: f32, inverse: f32) -> i16 {
    (x * inverse + ROUND).to_bits() as i16
}

/// The larger of a magnitude and that of `x`, of which NaN is the largest and infinity the next.
#[inline(always)]
pub(crate) fn largest(magnitude: f32, x: f32) -> f32 {
    // As integers magnitudes have the order of the numbers.
    f32::from_bits(magnitude.to_bits().max(x.abs().to_bits()))
}
