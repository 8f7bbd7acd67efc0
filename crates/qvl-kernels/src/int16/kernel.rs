//! The loops, once for each instruction set, and the choice between them at run time.

use std::sync::OnceLock;

use crate::attention::int16 as attention;
use crate::linear::int16 as linear;

/// The loops for one instruction set.
pub(crate) struct Int16Kernel {
    /// What the instruction set is called.
    #[cfg(test)]
    pub(crate) name: &'static str,
    /// Numbers of a vector.
    pub(crate) lanes: usize,
    /// Rows of a tile, which is two vectors wide.
    pub(crate) rows: usize,
    pub(super) round_lines: unsafe fn(attention::HeadLines<'_, f32>, attention::Lane<'_>),
    pub(super) round_values: unsafe fn(attention::HeadLines<'_, f32>, attention::Lane<'_>),
    pub(super) attend: unsafe fn(&attention::Queries<'_>, &attention::Rounded, attention::Piece<'_>),
    pub(super) round_strip: unsafe fn(linear::Strip<'_>),
    pub(super) multiply: unsafe fn(&linear::Job<'_>, linear::Piece<'_>, &mut linear::Panels),
}

impl Int16Kernel {
    /// Rounds queries or keys.
    pub(crate) fn round_lines(&self, lines: attention::HeadLines<'_, f32>, to: attention::Lane<'_>) {
        // SAFETY: the machine has the instruction set, or `available` would not have handed the kernel out.
        unsafe { (self.round_lines)(lines, to) }
    }

    /// Rounds a block of values.
    pub(crate) fn round_values(&self, lines: attention::HeadLines<'_, f32>, to: attention::Lane<'_>) {
        // SAFETY: as in `round_lines`.
        unsafe { (self.round_values)(lines, to) }
    }

    /// Computes a piece of an attention.
    pub(crate) fn attend(
        &self,
        queries: &attention::Queries<'_>,
        rounded: &attention::Rounded,
        piece: attention::Piece<'_>,
    ) {
        // SAFETY: as in `round_lines`.
        unsafe { (self.attend)(queries, rounded, piece) }
    }

    /// Rounds rows of a product.
    pub(crate) fn round_strip(&self, strip: linear::Strip<'_>) {
        // SAFETY: as in `round_lines`.
        unsafe { (self.round_strip)(strip) }
    }

    /// Computes a piece of a product; its weights are rounded to `panels`.
    pub(crate) fn multiply(&self, job: &linear::Job<'_>, piece: linear::Piece<'_>, panels: &mut linear::Panels) {
        // SAFETY: as in `round_lines`.
        unsafe { (self.multiply)(job, piece, panels) }
    }
}

/// Compiles the loops for the vectors `$words` and tiles of `$rows` rows with the features `$features`.
macro_rules! kernel {
    ($words:ident, $rows:literal, $name:literal, $features:literal) => {
        /// The loops with these vectors.
        pub(super) static KERNEL: crate::int16::Int16Kernel = crate::int16::Int16Kernel {
            #[cfg(test)]
            name: $name,
            lanes: <$words as crate::lanes::Lanes>::COUNT,
            rows: $rows,
            round_lines,
            round_values,
            attend,
            round_strip,
            multiply,
        };

        use crate::attention::int16 as attention;
        use crate::linear::int16 as linear;

        #[target_feature(enable = $features)]
        fn round_lines(lines: attention::HeadLines<'_, f32>, to: attention::Lane<'_>) {
            attention::round_lines(lines, to);
        }

        #[target_feature(enable = $features)]
        fn round_values(lines: attention::HeadLines<'_, f32>, to: attention::Lane<'_>) {
            attention::round_values(lines, to);
        }

        #[target_feature(enable = $features)]
        fn attend(queries: &attention::Queries<'_>, rounded: &attention::Rounded, piece: attention::Piece<'_>) {
            // SAFETY: this function's features are the instruction set.
            unsafe { attention::attend::<$words, $rows>(&KERNEL, queries, rounded, piece) }
        }

        #[target_feature(enable = $features)]
        fn round_strip(strip: linear::Strip<'_>) {
            linear::round_strip(strip);
        }

        #[target_feature(enable = $features)]
        fn multiply(job: &linear::Job<'_>, piece: linear::Piece<'_>, panels: &mut linear::Panels) {
            // SAFETY: this function's features are the instruction set.
            unsafe { linear::multiply::<$words, $rows>(job, piece, panels) }
        }
    };
}
pub(super) use kernel;

/// The fastest kernel of this machine; none where products in int16 are not faster than in float32.
pub(crate) fn best() -> Option<&'static Int16Kernel> {
    static BEST: OnceLock<Option<&Int16Kernel>> = OnceLock::new();
    *BEST.get_or_init(|| available().first().copied())
}

/// All kernels that this machine can run, the fastest first.
pub(crate) fn available() -> Vec<&'static Int16Kernel> {
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
