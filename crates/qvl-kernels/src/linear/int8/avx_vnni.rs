//! AVX2 with AVX-VNNI: tiles of 6 × 16.

use std::arch::x86_64::{__m256i, _mm256_dpbusd_avx_epi32};

use super::avx2::{Avx2, Dot};
use super::direct;
use super::kernel::{Int8Kernel, kernel};
use super::panel::Panel;
use super::vectors::Vectors;
use super::{Job, Piece};

type AvxVnni = Avx2<Dpbusd>;
kernel!(AvxVnni, "AVX-VNNI", Some(compute_row), "avx2,fma,avxvnni");

#[target_feature(enable = "avx2,fma,avxvnni")]
fn compute_row(job: &Job<'_>, piece: &mut Piece<'_>, panel: &mut Panel) {
    // SAFETY: this function's features are the instruction set.
    unsafe { direct::compute::<AvxVnni>(job, piece, panel) }
}

/// With the dot product of bytes.
pub(super) struct Dpbusd;

impl Dot for Dpbusd {
    const HEIGHT: usize = 6;
    const CENTRED: bool = false;

    #[inline]
    #[target_feature(enable = "avx2,fma,avxvnni")]
    unsafe fn centre(codes: __m256i) -> __m256i {
        codes
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,avxvnni")]
    unsafe fn dot<const BITS: usize>(sums: __m256i, codes: __m256i, inputs: __m256i) -> __m256i {
        _mm256_dpbusd_avx_epi32(sums, codes, inputs)
    }
}
