//! NEON. Products are those of signed bytes, so codes of 8 bits are centred.

use std::arch::aarch64::{
    float32x4_t, int32x4_t, uint8x16_t, vaddq_s32, vandq_u8, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vdupq_n_u8,
    vdupq_n_u32, veorq_u8, vfmaq_f32, vget_low_s8, vld1q_f32, vld1q_u8, vmull_high_s8, vmull_s8, vmulq_f32,
    vpaddlq_s16, vpaddq_s32, vreinterpretq_s8_u8, vreinterpretq_u8_u32, vreinterpretq_u32_u8, vshrq_n_u8, vst1q_f32,
    vst1q_u8, vzip1q_u32, vzip2q_u32,
};
use std::marker::PhantomData;

use super::kernel::{Int8Kernel, kernel};
use super::vectors::Vectors;

type Plain = Neon<Mull>;
kernel!(Plain, "NEON", None, "neon");

/// How vectors of 128 bits are multiplied.
///
/// # Safety
/// As for [`Vectors::dot`].
pub(super) trait Dot {
    unsafe fn dot(sums: int32x4_t, codes: uint8x16_t, inputs: uint8x16_t) -> int32x4_t;
}

/// With the instructions of the first version of NEON.
pub(super) struct Mull;

impl Dot for Mull {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn dot(sums: int32x4_t, codes: uint8x16_t, inputs: uint8x16_t) -> int32x4_t {
        let (codes, inputs) = (vreinterpretq_s8_u8(codes), vreinterpretq_s8_u8(inputs));
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(codes), vget_low_s8(inputs)));
        let high = vpaddlq_s16(vmull_high_s8(codes, inputs));
        vaddq_s32(sums, vpaddq_s32(low, high))
    }
}

/// 128 bits.
pub(crate) struct Neon<D>(PhantomData<D>);

impl<D: Dot> Vectors for Neon<D> {
    const LANES: usize = 4;
    const HEIGHT: usize = 6;
    const CENTRED: bool = true;
    type Codes = uint8x16_t;
    type Ints = int32x4_t;
    type Floats = float32x4_t;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_codes(from: *const u8) -> uint8x16_t {
        // SAFETY: the caller's.
        unsafe { vld1q_u8(from) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store_codes(to: *mut u8, codes: uint8x16_t) {
        // SAFETY: the caller's.
        unsafe { vst1q_u8(to, codes) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero_codes() -> uint8x16_t {
        vdupq_n_u8(0)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat_codes(from: *const u8) -> uint8x16_t {
        // SAFETY: the caller's.
        vreinterpretq_u8_u32(vdupq_n_u32(unsafe { from.cast::<u32>().read_unaligned() }))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn nibbles(codes: uint8x16_t) -> (uint8x16_t, uint8x16_t) {
        (vandq_u8(codes, vdupq_n_u8(15)), vshrq_n_u8::<4>(codes))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn centre(codes: uint8x16_t) -> uint8x16_t {
        veorq_u8(codes, vdupq_n_u8(128))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn transpose(lines: &mut [uint8x16_t]) {
        let [a, b, c, d] = [lines[0], lines[1], lines[2], lines[3]].map(|line| vreinterpretq_u32_u8(line));
        let (low, high) = (vzip1q_u32(a, c), vzip2q_u32(a, c));
        let (low2, high2) = (vzip1q_u32(b, d), vzip2q_u32(b, d));
        lines[0] = vreinterpretq_u8_u32(vzip1q_u32(low, low2));
        lines[1] = vreinterpretq_u8_u32(vzip2q_u32(low, low2));
        lines[2] = vreinterpretq_u8_u32(vzip1q_u32(high, high2));
        lines[3] = vreinterpretq_u8_u32(vzip2q_u32(high, high2));
    }

    #[inline(always)]
    unsafe fn dot<const BITS: usize>(sums: int32x4_t, codes: uint8x16_t, inputs: uint8x16_t) -> int32x4_t {
        // SAFETY: the caller's.
        unsafe { D::dot(sums, codes, inputs) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat_int(value: i32) -> int32x4_t {
        vdupq_n_s32(value)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add_ints(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vaddq_s32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn to_floats(ints: int32x4_t) -> float32x4_t {
        vcvtq_f32_s32(ints)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const f32) -> float32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_f32(from) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(to: *mut f32, values: float32x4_t) {
        // SAFETY: the caller's.
        unsafe { vst1q_f32(to, values) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn splat(value: f32) -> float32x4_t {
        vdupq_n_f32(value)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn multiply(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        vmulq_f32(a, b)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        vfmaq_f32(c, a, b)
    }
}
