//! The loops, once for each instruction set, and the choice between them at run time.

use std::cell::RefCell;
use std::sync::OnceLock;

use super::panel::Panel;
use super::rounded::Part;
use super::{Job, Piece};

/// The loops for one instruction set.
pub(crate) struct Int8Kernel {
    /// What the instruction set is called.
    pub(crate) name: &'static str,
    /// Outputs that are computed side by side.
    pub(crate) width: usize,
    /// Rows of a tile.
    pub(super) height: usize,
    /// Whether 8-bit codes are multiplied less 128.
    pub(crate) centred: bool,
    pub(super) round: unsafe fn(&[f32], Part<'_>),
    pub(super) compute: unsafe fn(&Job<'_>, &mut Piece<'_>, bool, &mut Panel),
    /// How one row is computed without panels, if its blocks are whole vectors.
    pub(super) compute_row: Option<unsafe fn(&Job<'_>, &mut Piece<'_>, &mut Panel)>,
    pub(super) dots: unsafe fn(usize) -> usize,
    pub(super) multiply_adds: unsafe fn(usize) -> usize,
}

impl Int8Kernel {
    /// Rounds a part of the strip `x`.
    pub(super) fn round(&self, x: &[f32], part: Part<'_>) {
        // SAFETY: the machine has the instruction set, or `available` would not have handed the kernel out.
        unsafe { (self.round)(x, part) }
    }

    /// Computes a piece of a job whose shapes have been checked; by panels if `by_panels`, else by stretches.
    pub(super) fn compute(&self, job: &Job<'_>, piece: &mut Piece<'_>, by_panels: bool) {
        thread_local! {
            static PANEL: RefCell<Box<Panel>> = RefCell::new(Panel::zeros());
        }
        let (bytes, vector) = (job.blocks.size * job.blocks.bits / 8, 2 * self.width);
        let is_row = job.rounded.rows == 1 && bytes.is_multiple_of(vector);
        PANEL.with_borrow_mut(|panel| match self.compute_row.filter(|_| is_row) {
            // SAFETY: as in `round`.
            Some(compute_row) => unsafe { compute_row(job, piece, panel) },
            // SAFETY: as in `round`.
            None => unsafe { (self.compute)(job, piece, by_panels, panel) },
        });
    }

    /// Multiplies integers in registers `steps` times, and says how many products were added.
    pub(crate) fn dots(&self, steps: usize) -> usize {
        // SAFETY: as in `round`.
        unsafe { (self.dots)(steps) }
    }

    /// As [`Self::dots`], with float32 numbers.
    pub(crate) fn multiply_adds(&self, steps: usize) -> usize {
        // SAFETY: as in `round`.
        unsafe { (self.multiply_adds)(steps) }
    }
}

/// Compiles the loops for the vectors `$vectors` with the features `$features`; `$compute_row` is that of the kernel.
macro_rules! kernel {
    ($vectors:ident, $name:literal, $compute_row:expr $(, $features:literal)?) => {
        /// The loops with these vectors.
        pub(super) static KERNEL: Int8Kernel = Int8Kernel {
            name: $name,
            width: 2 * <$vectors as Vectors>::LANES,
            height: <$vectors as Vectors>::HEIGHT,
            centred: <$vectors as Vectors>::CENTRED,
            round,
            compute,
            compute_row: $compute_row,
            dots,
            multiply_adds,
        };

        $(#[target_feature(enable = $features)])?
        fn round(x: &[f32], part: super::rounded::Part<'_>) {
            super::rounded::round(x, part);
        }

        $(#[target_feature(enable = $features)])?
        fn compute(
            job: &super::Job<'_>,
            piece: &mut super::Piece<'_>,
            by_panels: bool,
            panel: &mut super::panel::Panel,
        ) {
            // SAFETY: this function's features are the instruction set.
            unsafe { super::panel::compute::<$vectors>(job, piece, by_panels, panel) }
        }

        $(#[target_feature(enable = $features)])?
        fn dots(steps: usize) -> usize {
            // SAFETY: as above.
            unsafe { super::peak::dots::<$vectors>(steps) }
        }

        $(#[target_feature(enable = $features)])?
        fn multiply_adds(steps: usize) -> usize {
            // SAFETY: as above.
            unsafe { super::peak::multiply_adds::<$vectors>(steps) }
        }
    };
}
pub(super) use kernel;

/// The fastest kernel of this machine.
pub(crate) fn best() -> &'static Int8Kernel {
    static BEST: OnceLock<&Int8Kernel> = OnceLock::new();
    BEST.get_or_init(|| available()[0])
}

/// All kernels that this machine can run, the fastest first.
pub(crate) fn available() -> Vec<&'static Int8Kernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        if avx2 && avx512 {
            kernels.push(&super::avx512::KERNEL);
        }
        if avx2 && is_x86_feature_detected!("avxvnni") {
            kernels.push(&super::avx_vnni::KERNEL);
        }
        if avx2 {
            kernels.push(&super::avx2::KERNEL);
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            kernels.push(&super::neon_dot::KERNEL);
        }
        if std::arch::is_aarch64_feature_detected!("neon") {
            kernels.push(&super::neon::KERNEL);
        }
    }
    kernels.push(&super::portable::KERNEL);
    kernels
}
