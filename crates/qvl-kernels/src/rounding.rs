//! How numbers become codes: each is multiplied so that the largest magnitude becomes the largest code, and rounded.

/// 1.5 · 2²³: a small number that is added to it is rounded to an integer, which is in the lowest bits then.
const ROUND: f32 = 12_582_912.0;

/// The larger of a magnitude and that of `x`, of which NaN is the largest and infinity the next.
#[inline(always)]
pub(crate) fn largest(magnitude: f32, x: f32) -> f32 {
    // As integers magnitudes have the order of the numbers.
    f32::from_bits(magnitude.to_bits().max(x.abs().to_bits()))
}

/// By what numbers up to `largest` are multiplied so that they become codes up to `limit`; 0 where that is not finite.
#[inline(always)]
pub(crate) fn inverse(limit: f32, largest: f32) -> f32 {
    let inverse = limit / largest;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// The code of `x`, the nearest integer to `x` · `inverse`, in as many of the lowest bits as it needs in two's complement.
#[inline(always)]
pub(crate) fn code(x: f32, inverse: f32) -> u32 {
    (x * inverse + ROUND).to_bits()
}
