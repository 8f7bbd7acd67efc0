//! NEON: tiles of 8 × 12, which leave 8 of the 32 registers of 4 numbers to the operands.

use std::arch::aarch64::{float32x4_t, vdupq_n_f32, vfmaq_laneq_f32, vld1q_f32, vst1q_f32};

use super::{Kernel, Tile, portable};

const ROWS: usize = 8;
const COLUMNS: usize = 12;

/// Needs NEON.
pub(super) static KERNEL: Kernel =
    Kernel { name: "NEON", rows: ROWS, columns: COLUMNS, tile, interleave: portable::interleave, accumulate };

#[target_feature(enable = "neon")]
fn tile(a: &[f32], b: &[f32], tile: &mut Tile) {
    let mut sums = [[vdupq_n_f32(0.0); 3]; ROWS];
    for (a, b) in a.as_chunks::<ROWS>().0.iter().zip(b.as_chunks::<COLUMNS>().0) {
        // SAFETY: `b` is 12 numbers and `a` is 8.
        let (b, a) = unsafe {
            let b = [vld1q_f32(b.as_ptr()), vld1q_f32(b.as_ptr().add(4)), vld1q_f32(b.as_ptr().add(8))];
            (b, [vld1q_f32(a.as_ptr()), vld1q_f32(a.as_ptr().add(4))])
        };
        for (sums, a) in sums.as_chunks_mut::<4>().0.iter_mut().zip(a) {
            add::<0>(&mut sums[0], b, a);
            add::<1>(&mut sums[1], b, a);
            add::<2>(&mut sums[2], b, a);
            add::<3>(&mut sums[3], b, a);
        }
    }
    for (row, sums) in tile.0.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(sums) {
        // SAFETY: `row` is 12 numbers.
        unsafe {
            vst1q_f32(row.as_mut_ptr(), sums[0]);
            vst1q_f32(row.as_mut_ptr().add(4), sums[1]);
            vst1q_f32(row.as_mut_ptr().add(8), sums[2]);
        }
    }
}

/// `sums` += `b` · the number of `a` in lane `LANE`.
#[inline]
#[target_feature(enable = "neon")]
fn add<const LANE: i32>(sums: &mut [float32x4_t; 3], b: [float32x4_t; 3], a: float32x4_t) {
    for (sum, b) in sums.iter_mut().zip(b) {
        *sum = vfmaq_laneq_f32::<LANE>(*sum, b, a);
    }
}

/// [`Kernel::accumulate`], as the compiler vectorises it.
#[target_feature(enable = "neon")]
fn accumulate(x: &[f32], rows: &[&[f32]], sums: &mut [f32]) {
    super::accumulate(x, rows, sums, f32::mul_add);
}
