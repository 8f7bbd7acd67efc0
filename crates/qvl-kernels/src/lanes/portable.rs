//! Plain Rust, for machines without vectors of their own; the compiler finds what vector unit there is.

use std::array::from_fn;

use half::f16;

use super::{Lanes, Task};

/// Four numbers.
#[derive(Clone, Copy)]
pub struct Four([f32; 4]);

/// Computes `task` without any vector unit in mind.
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run::<Four>()
}

impl Four {
    #[inline(always)]
    fn zip(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        Self(from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }
}

impl Lanes for Four {
    const COUNT: usize = 4;
    const ROWS: usize = 4;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        Self(from_fn(|lane| from[lane]))
    }

    #[inline(always)]
    fn load_f16(from: &[f16]) -> Self {
        Self(from_fn(|lane| from[lane].to_f32()))
    }

    #[inline(always)]
    fn load_i8(from: &[i8]) -> Self {
        Self(from_fn(|lane| f32::from(from[lane])))
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..Self::COUNT].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    /// Rounded twice: one rounding would be a call of the C library for each number.
    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        self.mul(factor).add(summand)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    /// Beside 1.5 · 2²³ a float32 number has no place for a fraction.
    #[inline(always)]
    fn round(self) -> Self {
        let large = Self::splat(1.5 * (1 << 23) as f32);
        self.add(large).sub(large)
    }

    /// In two steps, since neither 2^−150 nor 2^128 is a normal number.
    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        self.zip(exponent, |x, exponent| {
            let whole = exponent as i32;
            let half = whole >> 1;
            let power = |exponent: i32| f32::from_bits(((exponent + 127) as u32) << 23);
            x * power(half) * power(whole - half)
        })
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        (self.0[0] + self.0[2]) + (self.0[1] + self.0[3])
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
