//! The exponential function and the activations that are made of it.

use std::f32::consts::LOG2_E;

use super::Lanes;

/// The logarithm of 2 in two parts: the first has so few bits that its multiples up to 150 are exact.
const LN_2_PARTS: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];

/// e^x, within 2 units in the last place; NaN of NaN.
///
/// x is n · ln 2 + r with |r| ≤ ln 2 / 2, and e^r is Taylor's series up to r⁷, which leaves out less than 6e-9.
#[inline(always)]
pub(crate) fn exp<V: Lanes>(x: V) -> V {
    // Beyond these limits the result is 0 or infinite. NaN passes, see `Lanes::max`.
    let x = V::splat(-104.0).max(V::splat(89.0).min(x));
    let n = x.mul(V::splat(LOG2_E)).round();
    let r = n.mul_add(V::splat(-LN_2_PARTS[0]), x);
    let r = n.mul_add(V::splat(-LN_2_PARTS[1]), r);
    polynomial(r, &[1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0]).scale(n)
}

/// 2^x for x up to 0, with an error of at most 4e-6 of it; NaN of NaN.
///
/// x is n + r with |r| ≤ 1/2, and 2^r is Taylor's series up to r⁵.
#[cfg(any(target_arch = "x86_64", test))]
#[inline(always)]
pub(crate) fn exp2<V: Lanes>(x: V) -> V {
    /// Powers of ln 2 over factorials.
    const COEFFICIENTS: [f32; 6] =
        [1.0, std::f32::consts::LN_2, 0.240_226_5, 0.055_504_11, 0.009_618_129, 0.001_333_356];
    // Below this limit the result is 0. NaN passes, see `Lanes::max`.
    let x = V::splat(-150.0).max(x);
    let n = x.round();
    polynomial(x.sub(n), &COEFFICIENTS).scale(n)
}

/// x · σ(x), the sigmoid linear unit.
#[inline(always)]
pub(crate) fn silu<V: Lanes>(x: V) -> V {
    x.div(V::splat(1.0).add(exp(V::splat(0.0).sub(x))))
}

/// The approximation of [`gelu`] with a hyperbolic tangent: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
/// Hendrycks and Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415, section 2.
#[inline(always)]
pub(crate) fn gelu_tanh<V: Lanes>(x: V) -> V {
    // (1 + tanh y) / 2 is σ(2y), and this is −2 · √(2/π).
    const FACTOR: f32 = -1.595_769;
    let inner = x.mul(x).mul_add(V::splat(0.044_715 * FACTOR), V::splat(FACTOR));
    x.div(V::splat(1.0).add(exp(x.mul(inner))))
}

/// x · Φ(x), the Gaussian error linear unit.
///
/// Φ(−w) is e^(−w²/2) · m(w), where m is [`mills`]; for positive x, Φ is one minus that.
#[inline(always)]
pub(crate) fn gelu<V: Lanes>(x: V) -> V {
    let zero = V::splat(0.0);
    // Farther out what is left of Φ is below the smallest float32 number.
    let w = V::splat(15.0).min(x.max(zero.sub(x)));
    let square = w.mul(w);
    // What rounding the square left off would be large after the exponential function.
    let left = w.mul_add(w, zero.sub(square));
    let power = exp(square.mul(V::splat(-0.5)));
    let power = power.mul(left.mul_add(V::splat(-0.5), V::splat(1.0)));
    zero.max(x).sub(w.mul(power).mul(mills(w)))
}

/// (1 − Φ(w)) · e^(w²/2) for w from 0 to 15: Mills' ratio of the normal distribution over √(2π).
///
/// A polynomial in t = 1 / (1 + 5w/16), times t. Its coefficients are fitted to the values in double precision at the
/// Chebyshev nodes of t for w from 0 to 12, so that the largest relative error is small; it is below 1e-7 up to 15.
#[inline(always)]
fn mills<V: Lanes>(w: V) -> V {
    const COEFFICIENTS: [f32; 10] = [
        0.124_660_04,
        0.124_852_34,
        0.111_048_35,
        0.093_927_644,
        0.044_612_25,
        0.017_501_25,
        0.050_564_878,
        -0.133_562_61,
        0.084_086_56,
        -0.017_690_705,
    ];
    let t = V::splat(1.0).div(w.mul_add(V::splat(0.3125), V::splat(1.0)));
    polynomial(t, &COEFFICIENTS).mul(t)
}

/// The polynomial with these coefficients, the constant one first, by Horner's rule.
#[inline(always)]
fn polynomial<V: Lanes, const N: usize>(x: V, coefficients: &[f32; N]) -> V {
    let mut sum = V::splat(coefficients[N - 1]);
    for coefficient in coefficients[..N - 1].iter().rev() {
        sum = sum.mul_add(x, V::splat(*coefficient));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{Task, Unit, WIDEST};

    struct Exponentials<'a>(&'a mut [f32]);

    impl Task for Exponentials<'_> {
        type Output = ();
        #[inline(always)]
        fn run<V: Lanes>(self) {
            for x in self.0.chunks_exact_mut(V::COUNT) {
                exp(V::load(x)).store(x);
            }
        }
    }

    fn exponentials(unit: Unit, x: &[f32]) -> Vec<f32> {
        let mut values = x.to_vec();
        values.resize(x.len().next_multiple_of(WIDEST), 0.0);
        unit.run(Exponentials(&mut values));
        values.truncate(x.len());
        values
    }

    #[test]
    fn exponentials_are_within_two_units_in_the_last_place() {
        let x: Vec<f32> = (-87_000..=88_700).map(|i| i as f32 * 1e-3 + 1e-4).collect();
        for unit in Unit::available() {
            for (x, found) in x.iter().zip(exponentials(unit, &x)) {
                let expected = f64::from(*x).exp();
                let unit_in_last_place = f64::from((expected as f32).next_up() - expected as f32);
                let error = (f64::from(found) - expected).abs() / unit_in_last_place;
                assert!(error <= 2.0, "{unit:?}: e^{x} = {found:e}, {error} units off");
            }
        }
    }

    struct Powers<'a>(&'a mut [f32]);

    impl Task for Powers<'_> {
        type Output = ();
        #[inline(always)]
        fn run<V: Lanes>(self) {
            for x in self.0.chunks_exact_mut(V::COUNT) {
                exp2(V::load(x)).store(x);
            }
        }
    }

    #[test]
    fn powers_of_two_are_near() {
        let x: Vec<f32> =
            (0..=120_016).map(|i| i as f32 * -1e-3).chain([f32::NEG_INFINITY, -150.0, f32::NAN]).collect();
        for unit in Unit::available() {
            let mut found = x.clone();
            found.resize(x.len().next_multiple_of(WIDEST), 0.0);
            unit.run(Powers(&mut found));
            for (x, found) in x.iter().zip(found) {
                let expected = f64::from(*x).exp2();
                let error = (f64::from(found) - expected).abs();
                // Below the normal numbers there are fewer bits.
                let near = error <= 4e-6 * expected + 2e-45 || x.is_nan() && found.is_nan();
                assert!(near, "{unit:?}: 2^{x} = {found:e}");
            }
        }
    }

    #[test]
    fn exponentials_of_what_is_no_ordinary_number() {
        let x = [0.0, -0.0, f32::NEG_INFINITY, f32::INFINITY, -1e30, 1e30, -104.1, 88.8, f32::NAN, -95.0];
        for unit in Unit::available() {
            let found = exponentials(unit, &x);
            assert_eq!(found[..8], [1.0, 1.0, 0.0, f32::INFINITY, 0.0, f32::INFINITY, 0.0, f32::INFINITY], "{unit:?}");
            assert!(found[8].is_nan(), "{unit:?}");
            assert!((found[9] / (-95.0_f32).exp() - 1.0).abs() < 1e-3, "{unit:?}: a number below the normal ones");
        }
    }
}
