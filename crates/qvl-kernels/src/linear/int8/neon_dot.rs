//! NEON with dot products.

use std::arch::aarch64::{int32x4_t, uint8x16_t};
use std::arch::asm;

use super::kernel::{Int8Kernel, kernel};
use super::neon::{Dot, Neon};
use super::vectors::Vectors;

type NeonDot = Neon<Sdot>;
kernel!(NeonDot, "NEON dot product", None, "neon,dotprod");

/// With the dot product of bytes.
pub(super) struct Sdot;

impl Dot for Sdot {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dot(mut sums: int32x4_t, codes: uint8x16_t, inputs: uint8x16_t) -> int32x4_t {
        // The intrinsic is not stable: https://github.com/rust-lang/rust/issues/117224.
        // SAFETY: the instruction only reads and writes these registers.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {codes:v}.16b, {inputs:v}.16b",
                sums = inout(vreg) sums, codes = in(vreg) codes, inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sums
    }
}
