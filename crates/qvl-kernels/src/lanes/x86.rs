//! What both vector units of x86 do alike.

use std::arch::x86_64::{
    _MM_HINT_T1, _mm_prefetch, _mm_storeu_si128, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_setzero_si256, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi16,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};
use std::ops::Range;

use half::f16;

use super::{LINES, interleave_plain};

/// Numbers of a line that are interleaved at once.
const AT_ONCE: usize = 16;

/// Bytes of a cache line.
const CACHE_LINE: usize = 64;

/// Begins to bring `line` into the second cache.
#[inline(always)]
pub(super) fn prefetch<T>(line: &[T]) {
    for part in line.chunks(CACHE_LINE / size_of::<T>()) {
        // SAFETY: every x86_64 has the instruction, and the address is one of the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(part.as_ptr().cast()) }
    }
}

/// [`super::Lanes::interleave_f16`] with AVX2.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
pub(super) unsafe fn interleave_f16(lines: &[&[f16]; LINES], part: Range<usize>, out: &mut [f16], width: usize) {
    let whole = part.end - part.len() % AT_ONCE;
    for p in (part.start..whole).step_by(AT_ONCE) {
        // What is written for the last number ends within `out`.
        let out = &mut out[p * width..][..(AT_ONCE - 1) * width + LINES];
        // SAFETY: the caller's; lines have so many numbers there.
        unsafe {
            let mut rows = [_mm256_setzero_si256(); LINES];
            for (row, line) in rows.iter_mut().zip(lines) {
                *row = _mm256_loadu_si256(line[p..][..AT_ONCE].as_ptr().cast());
            }
            let [a, b, c, d, e, f, g, h] = rows;
            // Pairs of lines, then fours, then eights, within each half of a vector.
            let (ab, ab2) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
            let (cd, cd2) = (_mm256_unpacklo_epi16(c, d), _mm256_unpackhi_epi16(c, d));
            let (ef, ef2) = (_mm256_unpacklo_epi16(e, f), _mm256_unpackhi_epi16(e, f));
            let (gh, gh2) = (_mm256_unpacklo_epi16(g, h), _mm256_unpackhi_epi16(g, h));
            let upper = [
                _mm256_unpacklo_epi32(ab, cd),
                _mm256_unpackhi_epi32(ab, cd),
                _mm256_unpacklo_epi32(ab2, cd2),
                _mm256_unpackhi_epi32(ab2, cd2),
            ];
            let lower = [
                _mm256_unpacklo_epi32(ef, gh),
                _mm256_unpackhi_epi32(ef, gh),
                _mm256_unpacklo_epi32(ef2, gh2),
                _mm256_unpackhi_epi32(ef2, gh2),
            ];
            for (two, (upper, lower)) in upper.into_iter().zip(lower).enumerate() {
                let eights = [_mm256_unpacklo_epi64(upper, lower), _mm256_unpackhi_epi64(upper, lower)];
                for (one, eight) in eights.into_iter().enumerate() {
                    let at = (2 * two + one) * width;
                    _mm_storeu_si128(out[at..][..LINES].as_mut_ptr().cast(), _mm256_castsi256_si128(eight));
                    let far = &mut out[at + AT_ONCE / 2 * width..][..LINES];
                    _mm_storeu_si128(far.as_mut_ptr().cast(), _mm256_extracti128_si256::<1>(eight));
                }
            }
        }
    }
    interleave_plain(lines, whole..part.end, out, width);
}
