//! Plain Rust, right on every machine.

use super::kernel::{Int8Kernel, kernel};
use super::vectors::Vectors;

kernel!(Portable, "portable", None);

const LANES: usize = 8;

pub(crate) struct Portable;

impl Vectors for Portable {
    const LANES: usize = LANES;
    const HEIGHT: usize = 2;
    const CENTRED: bool = false;
    type Codes = [[u8; 4]; LANES];
    type Ints = [i32; LANES];
    type Floats = [f32; LANES];

    #[inline]
    unsafe fn load_codes(from: *const u8) -> Self::Codes {
        // SAFETY: the caller's; bytes have no alignment.
        unsafe { from.cast::<Self::Codes>().read() }
    }

    #[inline]
    unsafe fn store_codes(to: *mut u8, codes: Self::Codes) {
        // SAFETY: the caller's; bytes have no alignment.
        unsafe { to.cast::<Self::Codes>().write(codes) }
    }

    #[inline]
    unsafe fn zero_codes() -> Self::Codes {
        [[0; 4]; LANES]
    }

    #[inline]
    unsafe fn splat_codes(from: *const u8) -> Self::Codes {
        // SAFETY: the caller's; bytes have no alignment.
        [unsafe { from.cast::<[u8; 4]>().read() }; LANES]
    }

    #[inline]
    unsafe fn nibbles(codes: Self::Codes) -> (Self::Codes, Self::Codes) {
        (codes.map(|four| four.map(|code| code & 15)), codes.map(|four| four.map(|code| code >> 4)))
    }

    #[inline]
    unsafe fn centre(codes: Self::Codes) -> Self::Codes {
        codes
    }

    #[inline]
    unsafe fn transpose(lines: &mut [Self::Codes]) {
        let columns: [Self::Codes; LANES] = std::array::from_fn(|j| std::array::from_fn(|i| lines[i][j]));
        lines.copy_from_slice(&columns);
    }

    #[inline]
    unsafe fn dot<const BITS: usize>(sums: Self::Ints, codes: Self::Codes, inputs: Self::Codes) -> Self::Ints {
        let product = |(code, input): (u8, u8)| i32::from(code) * i32::from(input as i8);
        std::array::from_fn(|lane| sums[lane] + (0..4).map(|i| product((codes[lane][i], inputs[lane][i]))).sum::<i32>())
    }

    #[inline]
    unsafe fn splat_int(value: i32) -> Self::Ints {
        [value; LANES]
    }

    #[inline]
    unsafe fn add_ints(a: Self::Ints, b: Self::Ints) -> Self::Ints {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline]
    unsafe fn to_floats(ints: Self::Ints) -> Self::Floats {
        ints.map(|int| int as f32)
    }

    #[inline]
    unsafe fn load(from: *const f32) -> Self::Floats {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self::Floats>().read_unaligned() }
    }

    #[inline]
    unsafe fn store(to: *mut f32, values: Self::Floats) {
        // SAFETY: the caller's.
        unsafe { to.cast::<Self::Floats>().write_unaligned(values) }
    }

    #[inline]
    unsafe fn splat(value: f32) -> Self::Floats {
        [value; LANES]
    }

    #[inline]
    unsafe fn multiply(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline]
    unsafe fn multiply_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }
}
