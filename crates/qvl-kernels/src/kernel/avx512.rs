//! AVX-512: tiles of 12 × 32, which leave 8 of the 32 registers of 16 numbers to the operands.

use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps};

use super::{Kernel, Tile, avx2};

const ROWS: usize = 12;
const COLUMNS: usize = 32;

/// Needs AVX-512F, and AVX2 for its interleaving.
pub(super) static KERNEL: Kernel =
    Kernel { name: "AVX-512", rows: ROWS, columns: COLUMNS, tile, interleave: avx2::interleave, accumulate };

#[target_feature(enable = "avx512f")]
fn tile(a: &[f32], b: &[f32], tile: &mut Tile) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (a, b) in a.as_chunks::<ROWS>().0.iter().zip(b.as_chunks::<COLUMNS>().0) {
        // SAFETY: `b` is 32 numbers.
        let b = unsafe { [_mm512_loadu_ps(b.as_ptr()), _mm512_loadu_ps(b.as_ptr().add(16))] };
        for (sums, &a) in sums.iter_mut().zip(a) {
            let a = _mm512_set1_ps(a);
            sums[0] = _mm512_fmadd_ps(a, b[0], sums[0]);
            sums[1] = _mm512_fmadd_ps(a, b[1], sums[1]);
        }
    }
    for (row, sums) in tile.0.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(sums) {
        // SAFETY: `row` is 32 numbers.
        unsafe {
            _mm512_storeu_ps(row.as_mut_ptr(), sums[0]);
            _mm512_storeu_ps(row.as_mut_ptr().add(16), sums[1]);
        }
    }
}

/// [`Kernel::accumulate`], as the compiler vectorises it.
#[target_feature(enable = "avx512f")]
fn accumulate(x: &[f32], rows: &[&[f32]], sums: &mut [f32]) {
    super::accumulate(x, rows, sums, f32::mul_add);
}
