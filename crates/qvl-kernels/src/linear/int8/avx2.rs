//! AVX2 with FMA. Without VNNI products of bytes are added in pairs to 16 bits, which would saturate where codes have all of
//! 8 bits: they are centred then, and the sign is moved to the inputs.

use std::arch::x86_64::{
    __m256, __m256i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_abs_epi8, _mm256_add_epi32, _mm256_and_si256,
    _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_mul_ps, _mm256_permute2x128_si256, _mm256_permutevar8x32_epi32, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_srli_epi16,
    _mm256_storeu_ps, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};
use std::marker::PhantomData;

use super::direct::{self, Lines};
use super::kernel::{Int8Kernel, kernel};
use super::panel::{MOST_LANES, Panel};
use super::vectors::Vectors;
use super::{Job, Piece};

type Plain = Avx2<Maddubs>;
kernel!(Plain, "AVX2", Some(compute_row), "avx2,fma");

#[target_feature(enable = "avx2,fma")]
fn compute_row(job: &Job<'_>, piece: &mut Piece<'_>, panel: &mut Panel) {
    // SAFETY: this function's features are the instruction set.
    unsafe { direct::compute::<Plain>(job, piece, panel) }
}

/// How vectors of 256 bits are multiplied.
///
/// # Safety
/// As for [`Vectors`], where the methods are documented.
pub(super) trait Dot {
    const HEIGHT: usize;
    const CENTRED: bool;
    unsafe fn centre(codes: __m256i) -> __m256i;
    unsafe fn dot<const BITS: usize>(sums: __m256i, codes: __m256i, inputs: __m256i) -> __m256i;
}

/// With the instructions of AVX2 itself.
pub(super) struct Maddubs;

impl Dot for Maddubs {
    const HEIGHT: usize = 4;
    const CENTRED: bool = true;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn centre(codes: __m256i) -> __m256i {
        _mm256_xor_si256(codes, _mm256_set1_epi8(-128))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn dot<const BITS: usize>(sums: __m256i, codes: __m256i, inputs: __m256i) -> __m256i {
        let pairs = match BITS {
            4 => _mm256_maddubs_epi16(codes, inputs),
            _ => _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(inputs, codes)),
        };
        _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// 256 bits.
pub(crate) struct Avx2<D>(PhantomData<D>);

impl<D: Dot> Vectors for Avx2<D> {
    const LANES: usize = 8;
    const HEIGHT: usize = D::HEIGHT;
    const CENTRED: bool = D::CENTRED;
    type Codes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load_codes(from: *const u8) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store_codes(to: *mut u8, codes: __m256i) {
        // SAFETY: the caller's.
        unsafe { _mm256_storeu_si256(to.cast(), codes) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn zero_codes() -> __m256i {
        _mm256_setzero_si256()
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn splat_codes(from: *const u8) -> __m256i {
        // SAFETY: the caller's.
        _mm256_set1_epi32(unsafe { from.cast::<i32>().read_unaligned() })
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn nibbles(codes: __m256i) -> (__m256i, __m256i) {
        let low = _mm256_set1_epi8(15);
        (_mm256_and_si256(codes, low), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low))
    }

    #[inline(always)]
    unsafe fn centre(codes: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe { D::centre(codes) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn transpose(lines: &mut [__m256i]) {
        // Fours of lines within halves of a vector, then halves.
        let mut halves = [[_mm256_setzero_si256(); 4]; 2];
        for (four, halves) in lines.as_chunks::<4>().0.iter().zip(&mut halves) {
            let [a, b, c, d] = *four;
            let (low, high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let (low2, high2) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            *halves = [
                _mm256_unpacklo_epi64(low, low2),
                _mm256_unpackhi_epi64(low, low2),
                _mm256_unpacklo_epi64(high, high2),
                _mm256_unpackhi_epi64(high, high2),
            ];
        }
        let [a, b] = halves;
        for i in 0..4 {
            lines[i] = _mm256_permute2x128_si256::<0x20>(a[i], b[i]);
            lines[i + 4] = _mm256_permute2x128_si256::<0x31>(a[i], b[i]);
        }
    }

    #[inline(always)]
    unsafe fn dot<const BITS: usize>(sums: __m256i, codes: __m256i, inputs: __m256i) -> __m256i {
        // SAFETY: the caller's.
        unsafe { D::dot::<BITS>(sums, codes, inputs) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn splat_int(value: i32) -> __m256i {
        _mm256_set1_epi32(value)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_ints(a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn to_floats(ints: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(ints)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn store(to: *mut f32, values: __m256) {
        // SAFETY: the caller's.
        unsafe { _mm256_storeu_ps(to, values) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn splat(value: f32) -> __m256 {
        _mm256_set1_ps(value)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn multiply(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    #[allow(unused_unsafe, reason = "whether the intrinsic is safe depends on the toolchain")]
    unsafe fn prefetch(at: *const u8) {
        // SAFETY: a prefetch faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    #[allow(unused_unsafe, reason = "whether the intrinsic is safe depends on the toolchain")]
    unsafe fn prefetch_near(at: *const u8) {
        // SAFETY: a prefetch faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl<D: Dot> Lines for Avx2<D> {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn split_fours(a: __m256i, b: __m256i) -> (__m256i, __m256i) {
        // The even fours in the lower half of each, the odd ones in the upper half.
        let even_first = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
        let (a, b) = (_mm256_permutevar8x32_epi32(a, even_first), _mm256_permutevar8x32_epi32(b, even_first));
        (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn sum_lines(lines: [__m256i; MOST_LANES]) -> __m256i {
        // Within halves of a vector, four lines beside each other; then the halves.
        let mut fours = [_mm256_setzero_si256(); 2];
        for (lines, four) in lines.as_chunks::<4>().0.iter().zip(&mut fours) {
            let [a, b, c, d] = *lines;
            let ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
            let cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
            *four = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
        }
        let [a, b] = fours;
        _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b))
    }
}
