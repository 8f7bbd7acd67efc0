//! The loops, once for each instruction set, and the choice between them at run time.

use std::sync::OnceLock;

use super::rounded::{Lane, Rounded};
use crate::attention::pieces::{Attention, Piece};
use crate::attention::stretch::HeadLines;

/// The loops for one instruction set.
pub(in crate::attention) struct Int16Kernel {
    /// What the instruction set is called.
    #[cfg(test)]
    pub(super) name: &'static str,
    /// Numbers of a vector.
    pub(super) lanes: usize,
    pub(super) round_lines: unsafe fn(HeadLines<'_, f32>, Lane<'_>),
    pub(super) round_values: unsafe fn(HeadLines<'_, f32>, Lane<'_>),
    pub(super) attend: unsafe fn(&Attention<'_, f32>, &Rounded, Piece<'_>),
}

impl Int16Kernel {
    /// Rounds queries or keys.
    pub(super) fn round_lines(&self, lines: HeadLines<'_, f32>, to: Lane<'_>) {
        // SAFETY: the machine has the instruction set, or `available` would not have handed the kernel out.
        unsafe { (self.round_lines)(lines, to) }
    }

    /// Rounds a block of values.
    pub(super) fn round_values(&self, lines: HeadLines<'_, f32>, to: Lane<'_>) {
        // SAFETY: as in `round_lines`.
        unsafe { (self.round_values)(lines, to) }
    }

    /// Computes a piece.
    pub(super) fn attend(&self, attention: &Attention<'_, f32>, rounded: &Rounded, piece: Piece<'_>) {
        // SAFETY: as in `round_lines`.
        unsafe { (self.attend)(attention, rounded, piece) }
    }
}

/// Compiles the loops for the vectors `$words` and tiles of `$rows` rows with the features `$features`.
macro_rules! kernel {
    ($words:ident, $rows:literal, $name:literal, $features:literal) => {
        /// The loops with these vectors.
        pub(super) static KERNEL: super::kernel::Int16Kernel = super::kernel::Int16Kernel {
            #[cfg(test)]
            name: $name,
            lanes: <$words as crate::lanes::Lanes>::COUNT,
            round_lines,
            round_values,
            attend,
        };

        #[target_feature(enable = $features)]
        fn round_lines(lines: crate::attention::stretch::HeadLines<'_, f32>, to: super::rounded::Lane<'_>) {
            super::rounded::round_lines(lines, to);
        }

        #[target_feature(enable = $features)]
        fn round_values(lines: crate::attention::stretch::HeadLines<'_, f32>, to: super::rounded::Lane<'_>) {
            super::rounded::round_values(lines, to);
        }

        #[target_feature(enable = $features)]
        fn attend(
            attention: &crate::attention::pieces::Attention<'_, f32>,
            rounded: &super::rounded::Rounded,
            piece: crate::attention::pieces::Piece<'_>,
        ) {
            // SAFETY: this function's features are the instruction set.
            unsafe { super::piece::attend::<$words, $rows>(&KERNEL, attention, rounded, piece) }
        }
    };
}
pub(super) use kernel;

/// The fastest kernel of this machine; none where products in int16 are not faster than in float32.
pub(in crate::attention) fn best() -> Option<&'static Int16Kernel> {
    static BEST: OnceLock<Option<&Int16Kernel>> = OnceLock::new();
    *BEST.get_or_init(|| available().first().copied())
}

/// All kernels that this machine can run, the fastest first.
pub(in crate::attention) fn available() -> Vec<&'static Int16Kernel> {
    let mut kernels: Vec<&'static Int16Kernel> = Vec::new();
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni");
    if avx2 && avx512 {
        kernels.push(&super::avx512::KERNEL);
    }
    if avx2 {
        kernels.push(&super::avx2::KERNEL);
    }
    kernels
}
