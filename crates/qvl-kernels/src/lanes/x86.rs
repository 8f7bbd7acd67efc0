//! What both vector units of x86 do alike.

use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};

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
