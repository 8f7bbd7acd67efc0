//! Numbers in bf16, a row of a tile at a time.

use std::arch::x86_64::{
    __m256i, __m512, __m512bh, __m512i, _mm256_loadu_si256, _mm256_maskz_loadu_epi16, _mm512_cvtne2ps_pbh,
    _mm512_cvtph_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16,
};

use half::f16;

use crate::amx::ROWS;

/// A row of a tile: 32 bf16 numbers, on a cache line of its own.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Line(__m512i);

/// For number n of pairs, which one it is of the first numbers followed by the second ones.
static PAIRED: [u16; 2 * ROWS] = {
    let (mut order, mut at) = ([0; 2 * ROWS], 0);
    while at < order.len() {
        order[at] = (at / 2 + at % 2 * ROWS) as u16;
        at += 1;
    }
    order
};

impl Line {
    /// The first 32 of some numbers; zeros are in place of those that are missing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn of_numbers(numbers: &[f32]) -> Self {
        let (low, high) = numbers.split_at(numbers.len().min(ROWS));
        round(load(low), load(high))
    }

    /// The pairs of the first 16 of some numbers and of others; zeros are in place of those that are missing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn of_pairs(first: &[f16], second: &[f16]) -> Self {
        // SAFETY: as many numbers are read as a vector has.
        let order = unsafe { _mm512_loadu_si512(PAIRED.as_ptr().cast()) };
        let Self(rounded) = round(_mm512_cvtph_ps(load_halves(first)), _mm512_cvtph_ps(load_halves(second)));
        Self(_mm512_permutexvar_epi16(order, rounded))
    }
}

impl Default for Line {
    fn default() -> Self {
        // SAFETY: a vector of integers may have any bits.
        Self(unsafe { std::mem::zeroed() })
    }
}

/// The numbers of `low`, then those of `high`, each rounded to the nearest, of two equally near ones to the even.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(low: __m512, high: __m512) -> Line {
    // SAFETY: both are vectors of 64 bytes, which may have any bits.
    Line(unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) })
}

/// The first 16 of `numbers`, and zeros.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(numbers: &[f32]) -> __m512 {
    // SAFETY: only numbers of the slice are read.
    unsafe {
        match numbers.len() {
            ROWS.. => _mm512_loadu_ps(numbers.as_ptr()),
            count => _mm512_maskz_loadu_ps(first(count), numbers.as_ptr()),
        }
    }
}

/// The first 16 of `numbers`, and zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_halves(numbers: &[f16]) -> __m256i {
    // SAFETY: only numbers of the slice are read, which have 16 bits.
    unsafe {
        match numbers.len() {
            ROWS.. => _mm256_loadu_si256(numbers.as_ptr().cast()),
            count => _mm256_maskz_loadu_epi16(first(count), numbers.as_ptr().cast()),
        }
    }
}

/// A mask of the first `count` of 16.
#[inline(always)]
fn first(count: usize) -> u16 {
    (1 << count) - 1
}
