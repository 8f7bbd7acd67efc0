//! Sums of products, tile by tile as they are computed and row by row as they are wanted.

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_load_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_store_ps,
};

use super::SIDE;
use crate::amx::{Bf16, ROWS};

/// The sums of a strip and a group, [rows, columns].
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Sums([[f32; SIDE]; SIDE]);

impl Default for Sums {
    fn default() -> Self {
        Self([[0.0; SIDE]; SIDE])
    }
}

impl Sums {
    /// Takes up what `rows` have from column `first` on.
    pub(super) fn load(&mut self, _machine: Bf16, rows: &[&mut [f32]], first: usize) {
        // SAFETY: the machine has the features, or there would be no `Bf16`.
        unsafe { load(self, rows, first) }
    }

    /// Writes the sums and what `bias` has for each column to `rows`, from column `first` on.
    pub(super) fn store(&self, _machine: Bf16, bias: &[f32; SIDE], rows: &mut [&mut [f32]], first: usize) {
        // SAFETY: as in `load`.
        unsafe { store(self, bias, rows, first) }
    }
}

#[target_feature(enable = "avx512f")]
fn load(sums: &mut Sums, rows: &[&mut [f32]], first: usize) {
    for (sums, row) in sums.0.iter_mut().zip(rows) {
        let row = &row[first..];
        for (half, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            // SAFETY: only numbers of the row are read, and a vector is written where there is room for one.
            unsafe {
                let mask = mask(row.len(), half);
                _mm512_store_ps(sums.as_mut_ptr(), _mm512_maskz_loadu_ps(mask, row.as_ptr().wrapping_add(half * ROWS)));
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
fn store(sums: &Sums, bias: &[f32; SIDE], rows: &mut [&mut [f32]], first: usize) {
    for (sums, row) in sums.0.iter().zip(rows) {
        let row = &mut row[first..];
        for half in 0..2 {
            let start = half * ROWS;
            // SAFETY: there are two vectors of sums and of the bias; only numbers of the row are written.
            unsafe {
                let sum =
                    _mm512_add_ps(_mm512_load_ps(&raw const sums[start]), _mm512_loadu_ps(&raw const bias[start]));
                _mm512_mask_storeu_ps(row.as_mut_ptr().wrapping_add(start), mask(row.len(), half), sum);
            }
        }
    }
}

/// Which numbers of half `half` of [`SIDE`] there are if `count` are left.
#[inline(always)]
fn mask(count: usize, half: usize) -> u16 {
    let all = ((1_u64 << count.min(SIDE)) - 1) as u32;
    (all >> (half * ROWS)) as u16
}
