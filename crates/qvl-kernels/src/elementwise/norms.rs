//! Norms of rows.
//!
//! Root-mean-square norms compute in double precision and round once: a text decoder has four in each layer, and what each
//! rounds away is multiplied by the layers behind it.

use std::ops::AddAssign;

use crate::lanes::{Lanes, Task};

/// Sums that are kept side by side, enough to fill the vector unit's pipeline.
const SUMS: usize = 32;

/// `x` · `weight` / √(mean x² + `epsilon`) of each row.
pub(super) struct RmsNorm<'a> {
    pub(super) x: &'a [f32],
    pub(super) weight: &'a [f32],
    pub(super) epsilon: f32,
    pub(super) out: &'a mut [f32],
}

impl Task for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let width = self.weight.len();
        for (x, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            let factor = rms_factor(x, self.epsilon);
            for ((out, x), weight) in out.iter_mut().zip(x).zip(self.weight) {
                *out = scaled(*x, factor, *weight);
            }
        }
    }
}

/// [`RmsNorm`] in place.
pub(super) struct RmsNormInPlace<'a> {
    pub(super) x: &'a mut [f32],
    pub(super) weight: &'a [f32],
    pub(super) epsilon: f32,
}

impl Task for RmsNormInPlace<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for x in self.x.chunks_exact_mut(self.weight.len()) {
            let factor = rms_factor(x, self.epsilon);
            for (x, weight) in x.iter_mut().zip(self.weight) {
                *x = scaled(*x, factor, *weight);
            }
        }
    }
}

/// (`x` − mean) · `weight` / √(variance + `epsilon`) + `bias` of each row.
pub(super) struct LayerNorm<'a> {
    pub(super) x: &'a [f32],
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) epsilon: f32,
    pub(super) out: &'a mut [f32],
}

impl Task for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let width = self.weight.len();
        for (x, out) in self.x.chunks_exact(width).zip(self.out.chunks_exact_mut(width)) {
            let mean = sum(x, |x| x) / width as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
            let factor = 1.0 / (variance + self.epsilon).sqrt();
            for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(self.weight).zip(self.bias) {
                *out = (x - mean) * factor * weight + bias;
            }
        }
    }
}

#[inline(always)]
fn rms_factor(x: &[f32], epsilon: f32) -> f64 {
    let squares = sum(x, |x| f64::from(x) * f64::from(x));
    1.0 / (squares / x.len() as f64 + f64::from(epsilon)).sqrt()
}

#[inline(always)]
fn scaled(x: f32, factor: f64, weight: f32) -> f32 {
    (f64::from(x) * factor * f64::from(weight)) as f32
}

/// The sum of the terms, in an order that the compiler can make vectors of and that is the same for all of them.
#[inline(always)]
fn sum<T: Copy + Default + AddAssign>(x: &[f32], term: impl Fn(f32) -> T) -> T {
    let (chunks, rest) = x.as_chunks::<SUMS>();
    let mut sums = [T::default(); SUMS];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += term(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += term(*x);
    }
    let mut width = SUMS;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            let other = sums[i + width];
            sums[i] += other;
        }
    }
    sums[0]
}
