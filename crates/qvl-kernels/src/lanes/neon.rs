//! NEON: 32 registers of 4 numbers.

use std::arch::aarch64::{
    float32x4_t, uint16x4_t, vaddq_f32, vaddq_s32, vaddvq_f32, vbslq_f32, vcgtq_f32, vcltq_f32, vcvtq_f32_s32,
    vcvtq_s32_f32, vdivq_f32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vget_low_s16, vld1_s8, vld1_u16, vld1q_f32,
    vmaxvq_f32, vmovl_s8, vmovl_s16, vmulq_f32, vreinterpretq_f32_s32, vrndnq_f32, vshlq_n_s32, vshrq_n_s32, vst1q_f32,
    vsubq_f32, vsubq_s32,
};
use std::arch::asm;

use half::f16;

use super::{Lanes, Task};

/// Computes `task` with NEON.
#[target_feature(enable = "neon")]
pub(super) fn run<T: Task>(task: T) -> T::Output {
    task.run::<float32x4_t>()
}

// SAFETY, for all of it: `Unit::run` names this type only on machines with NEON; slices are checked to be as long as
// what is read or written.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the comment above is about each of them")]
impl Lanes for float32x4_t {
    const COUNT: usize = 4;
    const ROWS: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..Self::COUNT];
        unsafe { vld1q_f32(from.as_ptr()) }
    }

    /// By the instruction itself: its intrinsic is not stable yet.
    #[inline(always)]
    fn load_f16(from: &[f16]) -> Self {
        let from = &from[..Self::COUNT];
        let wide: float32x4_t;
        unsafe {
            let halves: uint16x4_t = vld1_u16(from.as_ptr().cast());
            asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) halves, options(pure, nomem, nostack));
        }
        wide
    }

    #[inline(always)]
    fn load_i8(from: &[i8]) -> Self {
        let codes = [from[0], from[1], from[2], from[3], 0, 0, 0, 0];
        unsafe { vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(codes.as_ptr()))))) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..Self::COUNT];
        unsafe { vst1q_f32(to.as_mut_ptr(), self) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        unsafe { vaddq_f32(self, other) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        unsafe { vsubq_f32(self, other) }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        unsafe { vmulq_f32(self, other) }
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        unsafe { vdivq_f32(self, other) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        unsafe { vfmaq_f32(summand, self, factor) }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        unsafe { vbslq_f32(vcgtq_f32(self, other), self, other) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        unsafe { vbslq_f32(vcltq_f32(self, other), self, other) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        unsafe { vrndnq_f32(self) }
    }

    /// In two steps, since neither 2^−150 nor 2^128 is a normal number.
    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        unsafe {
            let whole = vcvtq_s32_f32(exponent);
            let half = vshrq_n_s32::<1>(whole);
            let bias = vdupq_n_s32(127);
            let first = vshlq_n_s32::<23>(vaddq_s32(half, bias));
            let second = vshlq_n_s32::<23>(vaddq_s32(vsubq_s32(whole, half), bias));
            vmulq_f32(vmulq_f32(self, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { vaddvq_f32(self) }
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        unsafe { vmaxvq_f32(self) }
    }
}
