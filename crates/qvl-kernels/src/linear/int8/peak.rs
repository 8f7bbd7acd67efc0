//! How fast products between registers are.

use std::hint::black_box;

use super::vectors::Vectors;

/// Adds products of integers in as many registers as a tile has, and returns how many products.
///
/// # Safety
/// As for [`Vectors`].
#[inline(always)]
pub(super) unsafe fn dots<V: Vectors>(steps: usize) -> usize {
    let bytes = [1; 4 * super::panel::MOST_LANES];
    // SAFETY: the caller's; a vector has at most so many codes.
    unsafe {
        let mut sums = [[V::splat_int(black_box(0)); 2]; 6];
        let codes = V::load_codes(black_box(bytes.as_ptr()));
        for _ in 0..steps {
            // Otherwise what depends on codes alone would be computed once.
            let inputs = V::load_codes(black_box(bytes.as_ptr()));
            for sums in sums.iter_mut().take(V::HEIGHT) {
                *sums = [V::dot::<4>(sums[0], codes, inputs), V::dot::<4>(sums[1], codes, inputs)];
            }
        }
        black_box(sums);
    }
    steps * 2 * V::HEIGHT * 4 * V::LANES
}

/// As [`dots`], with float32 numbers.
///
/// # Safety
/// As for [`Vectors`].
#[inline(always)]
pub(super) unsafe fn multiply_adds<V: Vectors>(steps: usize) -> usize {
    // Enough for two units of a latency of four cycles, and few enough for the registers of all kinds.
    const SUMS: usize = 12;
    // SAFETY: the caller's.
    unsafe {
        let (a, b) = (V::splat(black_box(0.5)), V::splat(black_box(0.25)));
        let mut sums = [a; SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = V::multiply_add(*sum, a, b);
            }
        }
        black_box(sums);
    }
    steps * SUMS * V::LANES
}
