//! AVX-512 with VNNI: tiles of 6 × 32.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm512_add_epi32, _mm512_and_si512, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_epi32, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_permutex2var_epi32, _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_srli_epi16, _mm512_storeu_ps, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::direct::{self, Lines};
use super::kernel::{Int8Kernel, kernel};
use super::panel::{MOST_LANES, Panel};
use super::vectors::Vectors;
use super::{Job, Piece};

kernel!(Avx512, "AVX-512 VNNI", Some(compute_row), "avx512f,avx512bw,avx512vl,avx512vnni");

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn compute_row(job: &Job<'_>, piece: &mut Piece<'_>, panel: &mut Panel) {
    // SAFETY: this function's features are the instruction set.
    unsafe { direct::compute::<Avx512>(job, piece, panel) }
}

pub(crate) struct Avx512;

impl Vectors for Avx512 {
    const LANES: usize = 16;
    const HEIGHT: usize = 6;
    const CENTRED: bool = false;
    type Codes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn load_codes(from: *const u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn store_codes(to: *mut u8, codes: __m512i) {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_si512(to.cast(), codes) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn zero_codes() -> __m512i {
        _mm512_setzero_si512()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn splat_codes(from: *const u8) -> __m512i {
        // SAFETY: the caller's.
        _mm512_set1_epi32(unsafe { from.cast::<i32>().read_unaligned() })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn nibbles(codes: __m512i) -> (__m512i, __m512i) {
        let low = _mm512_set1_epi8(15);
        (_mm512_and_si512(codes, low), _mm512_and_si512(_mm512_srli_epi16::<4>(codes), low))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn centre(codes: __m512i) -> __m512i {
        codes
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn transpose(lines: &mut [__m512i]) {
        // Fours of lines within quarters of a vector, then quarters.
        let mut quarters = [[_mm512_setzero_si512(); 4]; 4];
        for (four, quarters) in lines.as_chunks::<4>().0.iter().zip(&mut quarters) {
            let [a, b, c, d] = *four;
            let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (low2, high2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            *quarters = [
                _mm512_unpacklo_epi64(low, low2),
                _mm512_unpackhi_epi64(low, low2),
                _mm512_unpacklo_epi64(high, high2),
                _mm512_unpackhi_epi64(high, high2),
            ];
        }
        let [a, b, c, d] = quarters;
        for i in 0..4 {
            let (even, even2) = (_mm512_shuffle_i32x4::<0x88>(a[i], b[i]), _mm512_shuffle_i32x4::<0x88>(c[i], d[i]));
            let (odd, odd2) = (_mm512_shuffle_i32x4::<0xdd>(a[i], b[i]), _mm512_shuffle_i32x4::<0xdd>(c[i], d[i]));
            lines[i] = _mm512_shuffle_i32x4::<0x88>(even, even2);
            lines[i + 4] = _mm512_shuffle_i32x4::<0x88>(odd, odd2);
            lines[i + 8] = _mm512_shuffle_i32x4::<0xdd>(even, even2);
            lines[i + 12] = _mm512_shuffle_i32x4::<0xdd>(odd, odd2);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn dot<const BITS: usize>(sums: __m512i, codes: __m512i, inputs: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, codes, inputs)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn splat_int(value: i32) -> __m512i {
        _mm512_set1_epi32(value)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn add_ints(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn to_floats(ints: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(ints)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn store(to: *mut f32, values: __m512) {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_ps(to, values) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn splat(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn multiply(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    #[allow(unused_unsafe, reason = "whether the intrinsic is safe depends on the toolchain")]
    unsafe fn prefetch(at: *const u8) {
        // SAFETY: a prefetch faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    #[allow(unused_unsafe, reason = "whether the intrinsic is safe depends on the toolchain")]
    unsafe fn prefetch_near(at: *const u8) {
        // SAFETY: a prefetch faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

impl Lines for Avx512 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn split_fours(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
        const EVEN: [i32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
        // SAFETY: the array has as many numbers as a vector.
        let even = unsafe { _mm512_loadu_epi32(EVEN.as_ptr()) };
        let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        (_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn sum_lines(lines: [__m512i; MOST_LANES]) -> __m512i {
        // Within quarters of a vector, four lines beside each other; then the quarters.
        let mut fours = [_mm512_setzero_si512(); 4];
        for (lines, four) in lines.as_chunks::<4>().0.iter().zip(&mut fours) {
            let [a, b, c, d] = *lines;
            let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            *four = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        }
        let [a, b, c, d] = fours;
        let ab = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
        let cd = _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
        _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(ab, cd), _mm512_shuffle_i32x4::<0xdd>(ab, cd))
    }
}
