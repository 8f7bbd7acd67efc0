//! The best of several ranges.
//!
//! A narrower range rounds most values more finely and cuts off the extremes; a wider one may round the largest values
//! better. For each candidate the codes are fixed first; then the scale that fits them best has a closed form.

use super::round::{largest_magnitude, quantize_affine, quantize_symmetric, range};
use super::{BlockFormat, LANES, MAX_BLOCK, Scale};

/// Candidates to each side of the block's own range.
const STEPS: i32 = 9;

/// Ratio of neighbouring candidates' ranges: a tenth of a code at 4 bits.
const STEP: f32 = 0.0125;

/// Symmetric codes.
pub(super) fn symmetric(values: &[f32], format: &BlockFormat, codes: &mut [f32]) -> Scale {
    let own = largest_magnitude(values) / -format.middle();
    best(values, codes, |step, codes| quantize_symmetric(values, own / (1.0 + step as f32 * STEP), format, codes))
}

/// Codes with a zero point.
pub(super) fn affine(values: &[f32], format: &BlockFormat, codes: &mut [f32]) -> Scale {
    let (low, high) = range(values);
    best(values, codes, |step, codes| {
        let factor = 1.0 + step as f32 * STEP;
        quantize_affine(values, (low / factor, high / factor), format, codes)
    })
}

/// Tries all candidates; leaves the best one's codes and returns its scale.
///
/// With the best scale for its codes, `Σ x·c / Σ c²` where c is code minus zero point, a candidate's squared error is
/// `Σ x² − (Σ x·c)² / Σ c²`: the largest `(Σ x·c)² / Σ c²` wins, and the first of equal ones.
fn best(values: &[f32], codes: &mut [f32], candidate: impl Fn(i32, &mut [f32]) -> Scale) -> Scale {
    let mut best = candidate(0, codes);
    let (product, square) = sums(values, codes, best.zero_point);
    let mut best_gain = gain(product, square);
    best.scale = refit(best.scale, product, square);
    let mut trial = [0.0; MAX_BLOCK];
    let trial = &mut trial[..codes.len()];
    for step in (-STEPS..=STEPS).filter(|&step| step != 0) {
        let mut scale = candidate(step, trial);
        let (product, square) = sums(values, trial, scale.zero_point);
        if gain(product, square) > best_gain {
            best_gain = gain(product, square);
            scale.scale = refit(scale.scale, product, square);
            best = scale;
            codes.copy_from_slice(trial);
        }
    }
    best
}

fn gain(product: f32, square: f32) -> f32 {
    if square > 0.0 { product * product / square } else { 0.0 }
}

fn refit(scale: f32, product: f32, square: f32) -> f32 {
    let fitted = product / square;
    if fitted.is_finite() { fitted } else { scale }
}

/// `Σ x·c` and `Σ c²`.
fn sums(values: &[f32], codes: &[f32], zero_point: f32) -> (f32, f32) {
    let mut product = [0.0; LANES];
    let mut square = [0.0; LANES];
    for (values, codes) in values.chunks_exact(LANES).zip(codes.chunks_exact(LANES)) {
        for lane in 0..LANES {
            let code = codes[lane] - zero_point;
            product[lane] += values[lane] * code;
            square[lane] += code * code;
        }
    }
    (product.iter().sum(), square.iter().sum())
}
