//! AVX-512: 32 registers of 16 numbers.

use std::arch::x86_64::{
    __m256, __m512, _mm_loadu_si128, _mm256_castpd_ps, _mm256_loadu_si256, _mm512_add_ps, _mm512_castpd512_pd256,
    _mm512_castps_pd, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_div_ps, _mm512_extractf64x4_pd,
    _mm512_fmadd_ps, _mm512_loadu_epi64, _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_permutex2var_pd, _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_roundscale_ps, _mm512_scalef_ps,
    _mm512_set1_ps, _mm512_shuffle_ps, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};
use std::ops::Range;

use half::f16;

use super::{LINES, Lanes, Task};

/// Computes `task` with AVX-512.
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run::<__m512>()
}

// SAFETY, for all of it: `Unit::run` names this type only on machines with AVX-512F; slices are checked to be as long
// as what is read or written.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the comment above is about each of them")]
impl Lanes for __m512 {
    const COUNT: usize = 16;
    const ROWS: usize = 12;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::COUNT];
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_f16(from: &[f16]) -> Self {
        let from = &from[..Self::COUNT];
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_i8(from: &[i8]) -> Self {
        let from = &from[..Self::COUNT];
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::COUNT];
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        unsafe { _mm512_div_ps(self, other) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, summand) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        unsafe { _mm512_max_ps(self, other) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        unsafe { _mm512_min_ps(self, other) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        unsafe { _mm512_roundscale_ps::<0>(self) }
    }

    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        unsafe { _mm512_scalef_ps(self, exponent) }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self) }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        unsafe { _mm512_reduce_max_ps(self) }
    }

    #[inline(always)]
    fn interleave(lines: [Self; LINES], out: &mut [f32], width: usize) {
        let [a, b, c, d, e, f, g, h] = lines;
        let (upper, lower) = (fours([a, b, c, d]), fours([e, f, g, h]));
        for (t, (upper, lower)) in upper.into_iter().zip(lower).enumerate() {
            for (p, places) in [(t, NEAR), (t + 8, FAR)] {
                let [first, second] = eights(upper, lower, places);
                first.store(&mut out[p * width..]);
                second.store(&mut out[(p + 4) * width..]);
            }
        }
    }

    #[inline(always)]
    fn interleave_f16(lines: &[&[f16]; LINES], part: Range<usize>, out: &mut [f16], width: usize) {
        unsafe { super::x86::interleave_f16(lines, part, out, width) }
    }

    #[inline(always)]
    fn prefetch<T>(line: &[T]) {
        super::x86::prefetch(line);
    }
}

/// Of four lines in fours of numbers, number t of each four of each line beside each other, for each t.
#[inline(always)]
fn fours([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    const LOW: i32 = 0b01_00_01_00;
    const HIGH: i32 = 0b11_10_11_10;
    // SAFETY: as in the methods above, which alone call this.
    unsafe {
        let (low, high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (low2, high2) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        [
            _mm512_shuffle_ps::<LOW>(low, low2),
            _mm512_shuffle_ps::<HIGH>(low, low2),
            _mm512_shuffle_ps::<LOW>(high, high2),
            _mm512_shuffle_ps::<HIGH>(high, high2),
        ]
    }
}

/// The places of the first two fours of a register and of another in turn, in pairs of numbers.
const NEAR: [i64; 8] = [0, 1, 8, 9, 2, 3, 10, 11];

/// Those of the last two.
const FAR: [i64; 8] = [4, 5, 12, 13, 6, 7, 14, 15];

/// The halves of what `places` picks of two registers.
#[inline(always)]
fn eights(a: __m512, b: __m512, places: [i64; 8]) -> [__m256; 2] {
    // SAFETY: as in the methods above, which alone call this.
    unsafe {
        let places = _mm512_loadu_epi64(places.as_ptr());
        let eights = _mm512_permutex2var_pd(_mm512_castps_pd(a), places, _mm512_castps_pd(b));
        let halves = [_mm512_castpd512_pd256(eights), _mm512_extractf64x4_pd::<1>(eights)];
        [_mm256_castpd_ps(halves[0]), _mm256_castpd_ps(halves[1])]
    }
}
