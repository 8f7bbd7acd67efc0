//! AVX2 with FMA: tiles of 6 × 16, which leave 4 of the 16 registers of 8 numbers to the operands.

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::{Kernel, LINES, Tile, portable};

const ROWS: usize = 6;
const COLUMNS: usize = 16;

/// Needs AVX2 and FMA.
pub(super) static KERNEL: Kernel = Kernel { name: "AVX2", rows: ROWS, columns: COLUMNS, tile, interleave, accumulate };

#[target_feature(enable = "avx2,fma")]
fn tile(a: &[f32], b: &[f32], tile: &mut Tile) {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (a, b) in a.as_chunks::<ROWS>().0.iter().zip(b.as_chunks::<COLUMNS>().0) {
        // SAFETY: `b` is 16 numbers.
        let b = unsafe { [_mm256_loadu_ps(b.as_ptr()), _mm256_loadu_ps(b.as_ptr().add(8))] };
        for (sums, &a) in sums.iter_mut().zip(a) {
            let a = _mm256_set1_ps(a);
            sums[0] = _mm256_fmadd_ps(a, b[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(a, b[1], sums[1]);
        }
    }
    for (row, sums) in tile.0.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(sums) {
        // SAFETY: `row` is 16 numbers.
        unsafe {
            _mm256_storeu_ps(row.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(row.as_mut_ptr().add(8), sums[1]);
        }
    }
}

/// [`Kernel::interleave`], by transposing blocks of 8 × 8 in registers.
#[target_feature(enable = "avx2")]
pub(super) fn interleave(lines: [&[f32]; LINES], out: &mut [f32], width: usize) {
    let whole = lines[0].len() / 8 * 8;
    for p in (0..whole).step_by(8) {
        let mut block = [_mm256_setzero_ps(); 8];
        for (row, line) in block.iter_mut().zip(lines) {
            let line = &line[p..p + 8];
            // SAFETY: `line` is 8 numbers.
            *row = unsafe { _mm256_loadu_ps(line.as_ptr()) };
        }
        for (t, column) in transpose(block).into_iter().enumerate() {
            let out = &mut out[(p + t) * width..][..8];
            // SAFETY: `out` is 8 numbers.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), column) }
        }
    }
    if whole < lines[0].len() {
        portable::interleave(lines.map(|line| &line[whole..]), &mut out[whole * width..], width);
    }
}

/// The transpose of an 8 × 8 block: the halves of fours of rows, then the fours beside each other.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(r: [__m256; 8]) -> [__m256; 8] {
    let (top, bottom) = (fours(r[0], r[1], r[2], r[3]), fours(r[4], r[5], r[6], r[7]));
    let mut columns = [_mm256_setzero_ps(); 8];
    for i in 0..4 {
        columns[i] = _mm256_permute2f128_ps::<0x20>(top[i], bottom[i]);
        columns[i + 4] = _mm256_permute2f128_ps::<0x31>(top[i], bottom[i]);
    }
    columns
}

/// Columns i and i + 4 of four rows, for each i, in the halves of a register.
#[inline]
#[target_feature(enable = "avx2")]
fn fours(r0: __m256, r1: __m256, r2: __m256, r3: __m256) -> [__m256; 4] {
    const LOW: i32 = 0b01_00_01_00;
    const HIGH: i32 = 0b11_10_11_10;
    let (low, high) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
    let (low2, high2) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
    [
        _mm256_shuffle_ps::<LOW>(low, low2),
        _mm256_shuffle_ps::<HIGH>(low, low2),
        _mm256_shuffle_ps::<LOW>(high, high2),
        _mm256_shuffle_ps::<HIGH>(high, high2),
    ]
}

/// [`Kernel::accumulate`], as the compiler vectorises it.
#[target_feature(enable = "avx2,fma")]
fn accumulate(x: &[f32], rows: &[&[f32]], sums: &mut [f32]) {
    super::accumulate(x, rows, sums, f32::mul_add);
}
