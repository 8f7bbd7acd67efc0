//! Vectors of float32 numbers: a loop over them is written once for all kinds of vector units.

use std::sync::OnceLock;

use half::f16;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod functions;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod widen;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(crate) use functions::exp2;
pub(crate) use functions::{exp, gelu, gelu_tanh, silu};
pub(crate) use widen::widen;
#[cfg(target_arch = "x86_64")]
pub(crate) use widen::widen_with;

/// Numbers of the longest vector.
pub(crate) const WIDEST: usize = 16;

/// A vector of float32 numbers.
///
/// Its methods use the vector unit without asking whether there is one: only [`Unit::run`] may name the types that
/// implement this.
pub trait Lanes: Copy {
    /// Numbers of a vector, a power of two.
    const COUNT: usize;
    /// Rows of a tile of sums two vectors wide that leaves enough registers to the operands.
    const ROWS: usize;
    /// The same number in all lanes.
    fn splat(value: f32) -> Self;
    /// The first [`Lanes::COUNT`] of `from`.
    fn load(from: &[f32]) -> Self;
    /// The first [`Lanes::COUNT`] of `from`, widened.
    fn load_f16(from: &[f16]) -> Self;
    /// The first [`Lanes::COUNT`] of `from`, as float32.
    fn load_i8(from: &[i8]) -> Self;
    /// Writes the lanes to the beginning of `to`.
    fn store(self, to: &mut [f32]);
    /// `self` + `other`.
    fn add(self, other: Self) -> Self;
    /// `self` − `other`.
    fn sub(self, other: Self) -> Self;
    /// `self` · `other`.
    fn mul(self, other: Self) -> Self;
    /// `self` / `other`.
    fn div(self, other: Self) -> Self;
    /// `self` · `factor` + `summand`, rounded once where the unit can.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
    /// The larger one, and `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller one, and `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    /// The nearest whole numbers of numbers below 2²², ties to even.
    fn round(self) -> Self;
    /// `self` · 2^`exponent`, for whole exponents from −150 to 128.
    fn scale(self, exponent: Self) -> Self;
    /// The sum of the lanes.
    fn sum(self) -> f32;
    /// The largest lane, where none is NaN.
    fn largest(self) -> f32;
    /// Begins to bring `line` nearer, which will be read soon. Does nothing unless the unit has a way.
    #[inline(always)]
    fn prefetch<T>(_line: &[T]) {}
}

/// A computation that is written once for all vectors.
///
/// `run` and what it calls must be `#[inline(always)]`: that is how they get the vector unit's instructions. It is best a
/// single loop, since the compiler gives up inlining in long functions.
pub(crate) trait Task {
    /// What comes of it.
    type Output;
    /// Computes it with vectors of the type `V`.
    fn run<V: Lanes>(self) -> Self::Output;
}

/// A vector unit of this machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// AVX-512F, and what [`Kind::Avx2`] needs.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Unit {
    /// The fastest one.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Unit> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// All of them, the fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut kinds = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has = |names: [bool; 3]| names.iter().all(|has| *has);
            let avx2 = has([
                is_x86_feature_detected!("avx2"),
                is_x86_feature_detected!("fma"),
                is_x86_feature_detected!("f16c"),
            ]);
            if avx2 && is_x86_feature_detected!("avx512f") {
                kinds.push(Kind::Avx512);
            }
            if avx2 {
                kinds.push(Kind::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            kinds.push(Kind::Neon);
        }
        kinds.push(Kind::Portable);
        kinds.into_iter().map(Self).collect()
    }

    /// [`Lanes::COUNT`] and [`Lanes::ROWS`] of its vectors.
    pub(crate) fn sizes(self) -> (usize, usize) {
        struct Sizes;
        impl Task for Sizes {
            type Output = (usize, usize);
            #[inline(always)]
            fn run<V: Lanes>(self) -> (usize, usize) {
                (V::COUNT, V::ROWS)
            }
        }
        self.run(Sizes)
    }

    /// Computes `task` with this unit.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            // SAFETY: the machine has AVX-512, or `available` would not have made this unit.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { avx512::run(task) },
            // SAFETY: as above, for AVX2, FMA and F16C.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { avx2::run(task) },
            // SAFETY: as above, for NEON.
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => unsafe { neon::run(task) },
            Kind::Portable => portable::run(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation on some numbers, one result after another.
    struct Everything<'a>(&'a [f32], &'a [f32]);

    impl Task for Everything<'_> {
        type Output = Vec<Vec<f32>>;

        #[inline(always)]
        fn run<V: Lanes>(self) -> Self::Output {
            let (a, b) = (V::load(self.0), V::load(self.1));
            let halves: Vec<f16> = self.0.iter().map(|x| f16::from_f32(*x)).collect();
            let codes: Vec<i8> = self.1.iter().map(|x| *x as i8).collect();
            let vectors = [
                a.add(b),
                a.sub(b),
                a.mul(b),
                a.div(b),
                a.mul_add(b, a),
                a.max(b),
                a.min(b),
                a.round(),
                a.scale(b.round()),
                V::load_f16(&halves),
                V::load_i8(&codes),
            ];
            let mut results: Vec<Vec<f32>> = Vec::new();
            for vector in vectors {
                let mut lanes = vec![0.0; V::COUNT];
                vector.store(&mut lanes);
                results.push(lanes);
            }
            results.push(vec![a.sum(), a.largest(), V::COUNT as f32]);
            results
        }
    }

    #[test]
    fn vectors_compute_what_numbers_do() {
        // Numbers whose sums and products are exact.
        let a: Vec<f32> = (0..WIDEST).map(|i| i as f32 * 1.25 - 7.5).collect();
        let b: Vec<f32> = (0..WIDEST).map(|i| 5.0 - i as f32).map(|b| if b == 0.0 { -12.0 } else { b }).collect();
        for unit in Unit::available() {
            let results = unit.run(Everything(&a, &b));
            for (lane, (&a, &b)) in a.iter().zip(&b).take(results[0].len()).enumerate() {
                let found: Vec<f32> = results[..11].iter().map(|result| result[lane]).collect();
                let (larger, smaller) = (a.max(b), a.min(b));
                let scaled = a * 2.0_f32.powf(b);
                let round = a.round_ties_even();
                assert_eq!(
                    found,
                    [a + b, a - b, a * b, a / b, a * b + a, larger, smaller, round, scaled, a, b],
                    "{unit:?}"
                );
            }
            let lanes = &a[..results[11][2] as usize];
            let largest = lanes.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(results[11][..2], [lanes.iter().sum(), largest], "{unit:?}");
        }
    }

    #[test]
    fn not_a_number_gives_way_in_maxima() {
        struct Maximum;
        impl Task for Maximum {
            type Output = [f32; WIDEST];
            #[inline(always)]
            fn run<V: Lanes>(self) -> Self::Output {
                let mut lanes = [0.0; WIDEST];
                let (nan, one) = (V::splat(f32::NAN), V::splat(1.0));
                nan.max(one).min(one).add(one.min(nan.max(one))).store(&mut lanes);
                lanes
            }
        }
        for unit in Unit::available() {
            assert_eq!(unit.run(Maximum)[0], 2.0, "{unit:?}");
        }
    }
}
