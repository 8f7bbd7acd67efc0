//! Rounding a block with a given range.

use super::{BlockFormat, Scale};

/// 1.5 · 2²³: added to a float32 of less than 2²² and taken away again, it rounds to the nearest whole number, ties to
/// even, in two instructions that every processor has for many values at once.
const ROUNDING: f32 = 12_582_912.0;

/// `value`, whose magnitude is less than 2²², rounded to the nearest whole number, ties to even.
pub(super) fn round(value: f32) -> f32 {
    (value + ROUNDING) - ROUNDING
}

/// The value of largest magnitude, with its sign; the first of equal ones.
pub(super) fn largest_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest: f32, &value| if value.abs() > largest.abs() { value } else { largest })
}

/// Smallest and largest value, with zero among them: it must have a code of its own.
pub(super) fn range(values: &[f32]) -> (f32, f32) {
    values.iter().fold((0.0, 0.0), |(low, high): (f32, f32), &value| (low.min(value), high.max(value)))
}

/// One over `value`, or zero where that is no number: such a block becomes all zero.
pub(super) fn inverse(value: f32) -> f32 {
    let inverse = 1.0 / value;
    if inverse.is_finite() { inverse } else { 0.0 }
}

/// Codes around the middle for `scale`, which may be negative.
pub(super) fn quantize_symmetric(values: &[f32], scale: f32, format: &BlockFormat, codes: &mut [f32]) -> Scale {
    let (inverse, middle, last) = (inverse(scale), format.middle(), format.last());
    for (code, value) in codes.iter_mut().zip(values) {
        *code = (round(value * inverse) + middle).clamp(0.0, last);
    }
    Scale { scale: if inverse == 0.0 { 0.0 } else { scale }, zero_point: middle }
}

/// Codes for values from `low` to `high`.
pub(super) fn quantize_affine(
    values: &[f32],
    (low, high): (f32, f32),
    format: &BlockFormat,
    codes: &mut [f32],
) -> Scale {
    let last = format.last();
    let scale = (high - low) / last;
    let inverse = inverse(scale);
    let zero_point = round(-low * inverse).clamp(0.0, last);
    for (code, value) in codes.iter_mut().zip(values) {
        *code = (round(value * inverse) + zero_point).clamp(0.0, last);
    }
    Scale { scale: if inverse == 0.0 { 0.0 } else { scale }, zero_point }
}
