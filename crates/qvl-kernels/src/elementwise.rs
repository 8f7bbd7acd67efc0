//! Norms, rotary embedding and activations, row by row.
//!
//! Long arrays are shared by the threads of the current pool. What comes of a row depends on nothing else.

mod activations;
mod norms;
#[cfg(test)]
mod plain;
mod rotary;

use crate::lanes::Unit;
use crate::matmul::expect_shape;
use crate::pool::for_each;
use activations::{GatedSilu, Gelu, GeluTanh, Map};
use norms::{LayerNorm, RmsNorm, RmsNormInPlace};
use rotary::Rotate;

/// Numbers of one piece of work; handing out fewer would take longer than computing them.
const PIECE: usize = 1 << 15;

/// Root-mean-square norm of each row of `x` [rows, weight.len()]: x · weight / √(mean x² + ε).
///
/// # Panics
/// If `x` and `out` are not whole rows, equally many.
#[track_caller]
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    expect_rows(x, weight, out.len());
    for_pieces(x, out, weight.len(), |x, out| Unit::best().run(RmsNorm { x, weight, epsilon, out }));
}

/// [`rms_norm`] in place.
///
/// # Panics
/// If `x` is not whole rows.
#[track_caller]
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], epsilon: f32) {
    expect_rows(x, weight, x.len());
    for_pieces_in_place(x, weight.len(), |x| Unit::best().run(RmsNormInPlace { x, weight, epsilon }));
}

/// Layer norm of each row of `x` [rows, weight.len()]: (x − mean) · weight / √(variance + ε) + bias.
///
/// # Panics
/// If `x` and `out` are not whole rows, equally many, or the bias has another length than the weight.
#[track_caller]
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]) {
    expect_rows(x, weight, out.len());
    expect_shape("bias", bias.len(), 1, weight.len());
    for_pieces(x, out, weight.len(), |x, out| Unit::best().run(LayerNorm { x, weight, bias, epsilon, out }));
}

/// Rotates each head of `x` [.., heads, 2 · half] by the angles whose cosines and sines are given, [half] each: element i
/// of a head's first half against element i of its second half.
///
/// # Panics
/// If `x` is not whole heads, or there are not as many sines as cosines.
#[track_caller]
pub fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    expect_shape("sines", sin.len(), 1, cos.len());
    assert!(
        !cos.is_empty() && x.len().is_multiple_of(2 * cos.len()),
        "{} numbers in heads of {}",
        x.len(),
        2 * cos.len()
    );
    Unit::best().run(Rotate { x, cos, sin });
}

/// `gate` ← gate · σ(gate) · up, the gated sigmoid linear unit.
///
/// # Panics
/// If the two are not equally long.
#[track_caller]
pub fn gated_silu(gate: &mut [f32], up: &[f32]) {
    expect_shape("up", up.len(), 1, gate.len());
    for_pieces(up, gate, 1, |up, gate| Unit::best().run(GatedSilu { gate, up }));
}

/// The Gaussian error linear unit in place: x · Φ(x) with the normal distribution's Φ, (1 + erf(x / √2)) / 2.
pub fn gelu(x: &mut [f32]) {
    for_pieces_in_place(x, 1, |x| Unit::best().run(Map::<Gelu>::new(x)));
}

/// The approximation of [`gelu`] with a hyperbolic tangent, in place: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
pub fn gelu_tanh(x: &mut [f32]) {
    for_pieces_in_place(x, 1, |x| Unit::best().run(Map::<GeluTanh>::new(x)));
}

#[track_caller]
fn expect_rows(x: &[f32], weight: &[f32], out: usize) {
    let width = weight.len();
    assert!(width > 0 && x.len().is_multiple_of(width), "{} numbers in rows of {width}", x.len());
    assert_eq!(out, x.len(), "the result is not as long as what goes in");
}

/// Hands rows of `width` numbers of `x` and `out` to `compute`, in parallel if there are many.
fn for_pieces(x: &[f32], out: &mut [f32], width: usize, compute: impl Fn(&[f32], &mut [f32]) + Sync) {
    if out.len() <= PIECE {
        return compute(x, out);
    }
    let piece = (PIECE / width).max(1) * width;
    for_each(x.chunks(piece).zip(out.chunks_mut(piece)), |(x, out)| compute(x, out));
}

/// As [`for_pieces`], of one array.
fn for_pieces_in_place(x: &mut [f32], width: usize, compute: impl Fn(&mut [f32]) + Sync + Send) {
    if x.len() <= PIECE {
        return compute(x);
    }
    for_each(x.chunks_mut((PIECE / width).max(1) * width), compute);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::numbers;

    const EPSILON: f32 = 1e-6;

    #[track_caller]
    fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            let near = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
            assert!(near, "{found} for {expected} at {index}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn norms_equal_the_plain_ones(rows in 0..6usize, width in 1..300usize, seed: u32) {
            let (x, weight, bias) = (numbers(rows * width, seed), numbers(width, seed ^ 1), numbers(width, seed ^ 2));
            let mut expected = vec![f32::NAN; x.len()];
            let mut found = expected.clone();
            for unit in Unit::available() {
                plain::rms_norm(&x, &weight, EPSILON, &mut expected);
                unit.run(RmsNorm { x: &x, weight: &weight, epsilon: EPSILON, out: &mut found });
                assert_near(&found, &expected, 1e-5);
                found.copy_from_slice(&x);
                unit.run(RmsNormInPlace { x: &mut found, weight: &weight, epsilon: EPSILON });
                assert_near(&found, &expected, 1e-5);
                // A row of one number has no variance, and any error is divided by √ε.
                if width > 1 {
                    plain::layer_norm(&x, &weight, &bias, EPSILON, &mut expected);
                    unit.run(LayerNorm { x: &x, weight: &weight, bias: &bias, epsilon: EPSILON, out: &mut found });
                    assert_near(&found, &expected, 1e-3);
                }
            }
        }

        #[test]
        fn heads_are_rotated_as_the_plain_ones(heads in 0..5usize, half in 1..80usize, seed: u32) {
            let angles = numbers(half, seed ^ 1);
            let (cos, sin): (Vec<f32>, Vec<f32>) = angles.iter().map(|angle| (angle.cos(), angle.sin())).unzip();
            let x = numbers(2 * half * heads, seed);
            let mut expected = x.clone();
            plain::rotate(&mut expected, &cos, &sin);
            for unit in Unit::available() {
                let mut found = x.clone();
                unit.run(Rotate { x: &mut found, cos: &cos, sin: &sin });
                assert_near(&found, &expected, 1e-6);
            }
        }

        #[test]
        fn gates_equal_the_plain_ones(length in 0..100usize, seed: u32) {
            let (up, gate) = (numbers(length, seed), numbers(length, seed ^ 1));
            let gate: Vec<f32> = gate.iter().map(|x| x * 100.0).collect();
            let mut expected = gate.clone();
            plain::gated_silu(&mut expected, &up);
            for unit in Unit::available() {
                let mut found = gate.clone();
                unit.run(GatedSilu { gate: &mut found, up: &up });
                assert_near(&found, &expected, 1e-6);
            }
        }
    }

    #[test]
    fn gaussian_units_are_those_of_double_precision() {
        // An odd number of them, so that there is a tail.
        let x: Vec<f32> = (-2400..=2400).map(|i| i as f32 * 0.005).collect();
        for unit in Unit::available() {
            let (mut exact, mut approximate) = (x.clone(), x.clone());
            unit.run(Map::<Gelu>::new(&mut exact));
            unit.run(Map::<GeluTanh>::new(&mut approximate));
            for (index, &x) in x.iter().enumerate() {
                // The rounding of an exponent is multiplied by the exponent.
                let tolerance = |exponent: f64| 1e-6 + exponent.abs() * f64::from(f32::EPSILON);
                let wide = f64::from(x);
                let expected = plain::gelu(wide);
                let error = (f64::from(exact[index]) - expected).abs();
                assert!(
                    error <= tolerance(wide * wide / 4.0) * expected.abs(),
                    "{unit:?}: gelu({x}) = {}",
                    exact[index]
                );
                let expected = plain::gelu_tanh(wide);
                let error = (f64::from(approximate[index]) - expected).abs();
                // Four roundings, each of half a unit.
                let exponent = 2.0 * 1.6 * (wide + 0.044_715 * wide.powi(3));
                let bound = tolerance(exponent) * expected.abs() + 1e-37;
                assert!(error <= bound, "{unit:?}: gelu_tanh({x}) = {}", approximate[index]);
            }
        }
    }

    #[test]
    fn units_at_the_ends_of_the_numbers() {
        for compute in [gelu, gelu_tanh, |x: &mut [f32]| gated_silu(x, &[1.0; 4])] {
            let mut x = [f32::INFINITY, -1e4, 1e4, f32::NAN];
            compute(&mut x);
            assert_eq!((x[0], x[2]), (f32::INFINITY, 1e4));
            assert!(x[1].abs() < 1e-30 && x[3].is_nan(), "{x:?}");
        }
    }

    #[test]
    fn long_arrays_are_computed_whole() {
        let (width, rows) = (1000, 100);
        let (x, weight) = (numbers(width * rows, 1), numbers(width, 2));
        let (mut found, mut expected) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        plain::rms_norm(&x, &weight, EPSILON, &mut expected);
        rms_norm(&x, &weight, EPSILON, &mut found);
        assert_near(&found, &expected, 1e-5);
        found.copy_from_slice(&x);
        rms_norm_in_place(&mut found, &weight, EPSILON);
        assert_near(&found, &expected, 1e-5);
        let (mut found, mut expected) = (x.clone(), x.clone());
        gated_silu(&mut found, &x);
        plain::gated_silu(&mut expected, &x);
        assert_near(&found, &expected, 1e-6);
    }
}
