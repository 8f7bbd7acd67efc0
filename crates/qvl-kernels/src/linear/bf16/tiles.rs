//! Products of two tiles of rows and two of weights.

use std::arch::asm;

use super::sums::Sums;
use super::{LINES, Line};
use crate::amx::{BYTES, Tiles};

/// Memory that will be needed soon, to be brought near step by step. Any addresses will do.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// What will be read: two lines, each half of `stride` bytes after the one before.
    pub(super) lines: *const Line,
    pub(super) stride: usize,
    /// What will be written: the columns of a group in a row, and how many bytes farther the next row's are.
    pub(super) row: *const f32,
    pub(super) row_stride: usize,
}

/// Adds the products of `rows` and `weights`, [steps, two tiles] of each, to `sums`; with `fresh` they replace them.
///
/// The weights are loaded as what will not be used soon, so that the first cache keeps the rows for the next weights.
#[inline]
pub(super) fn multiply(_tiles: &Tiles, rows: &[Line], weights: &[Line], fresh: bool, ahead: Ahead, sums: &mut Sums) {
    assert!(rows.len() == weights.len() && rows.len().is_multiple_of(LINES), "as many steps of both");
    // SAFETY: there is a machine with tiles, which have shapes of up to 16 rows of 64 bytes; all that is read is within
    // the slices, and all that is written within the sums. A prefetch may be of any address.
    unsafe {
        asm!(
            "test {fresh:e}, {fresh:e}",
            "jz 2f",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "jmp 3f",
            "2:",
            "tileloadd tmm0, [{sums} + 2*{line}]",
            "tileloadd tmm1, [{sums} + 2*{line} + 64]",
            "tileloadd tmm2, [{sums} + 2*{line} + 2048]",
            "tileloadd tmm3, [{sums} + 2*{line} + 2112]",
            "3:",
            "test {steps}, {steps}",
            "jz 5f",
            "4:",
            "tileloaddt1 tmm6, [{weights} + {line}]",
            "tileloadd tmm4, [{rows} + {line}]",
            "tileloaddt1 tmm7, [{weights} + {line} + 1024]",
            "tileloadd tmm5, [{rows} + {line} + 1024]",
            "prefetcht1 [{ahead}]",
            "prefetcht1 [{ahead} + {half}]",
            "prefetchw [{row}]",
            "prefetchw [{row} + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {weights}, 2048",
            "add {rows}, 2048",
            "lea {ahead}, [{ahead} + 2*{half}]",
            "add {row}, {row_stride}",
            "dec {steps}",
            "jnz 4b",
            "5:",
            "tilestored [{sums} + 2*{line}], tmm0",
            "tilestored [{sums} + 2*{line} + 64], tmm1",
            "tilestored [{sums} + 2*{line} + 2048], tmm2",
            "tilestored [{sums} + 2*{line} + 2112], tmm3",
            fresh = in(reg) u32::from(fresh),
            steps = inout(reg) rows.len() / LINES => _,
            rows = inout(reg) rows.as_ptr() => _,
            weights = inout(reg) weights.as_ptr() => _,
            ahead = inout(reg) ahead.lines => _,
            row = inout(reg) ahead.row => _,
            row_stride = in(reg) ahead.row_stride,
            half = in(reg) ahead.stride / 2,
            sums = in(reg) sums,
            line = in(reg) BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
