//! Operands in the order in which kernels read them.
//!
//! A *line* is a row of the left-hand operand or a column of the right-hand one: k numbers that are summed over. A
//! *panel* [k, width] has the lines of one tile beside each other, so that a kernel reads memory from front to back.

use std::ops::Range;

use half::f16;

use crate::kernel::{Kernel, LINES};
use crate::lanes::widen;
use crate::{Rows, View};

/// How many steps of k are packed at once, so that what is written stays in the first cache.
const STEPS: usize = 128;

/// One side of a product, and which way its lines lie.
pub(crate) enum Operand<'a> {
    /// The lines are the rows.
    Rows(View<'a>),
    /// The lines are rows that must be read first.
    Source(&'a dyn Rows),
    /// The lines are the columns.
    Columns(View<'a>),
    /// The lines are the columns of a matrix in float16, whose rows have so many numbers.
    Halves(&'a [f16], usize),
    /// The lines are the columns, and row p is multiplied by number p.
    Weighted(View<'a>, &'a [f32]),
}

impl Operand<'_> {
    /// Packs lines of `k` elements into `panels` [panels, k, width]; lines that are missing to the last panel's `width`
    /// are zeros. `scratch` is where rows are read to.
    pub(crate) fn pack(
        &self,
        kernel: &Kernel,
        lines: Range<usize>,
        (k, width): (usize, usize),
        panels: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        if !lines.len().is_multiple_of(width) {
            panels[lines.len() / width * width * k..].fill(0.0);
        }
        let starts = lines.clone().step_by(width).map(|first| first..lines.end.min(first + width));
        let each = panels.chunks_exact_mut(width * k).zip(starts);
        match self {
            Self::Rows(view) => each.for_each(|(panel, lines)| {
                interleave(kernel, &view.data[lines.start * view.stride..], view.stride, lines.len(), panel, width);
            }),
            Self::Source(rows) => {
                scratch.resize(LINES * k, 0.0);
                each.for_each(|(panel, lines)| read(kernel, *rows, lines, scratch, panel, width));
            }
            // Row after row through all panels: a panel's part of a row is shorter than what memory hands out at once.
            Self::Columns(view) => {
                for (p, row) in view.data.chunks(view.stride).take(k).enumerate() {
                    for (i, part) in row[lines.clone()].chunks(width).enumerate() {
                        panels[(i * k + p) * width..][..part.len()].copy_from_slice(part);
                    }
                }
            }
            Self::Halves(data, columns) => {
                for (p, row) in data.chunks(*columns).take(k).enumerate() {
                    for (i, part) in row[lines.clone()].chunks(width).enumerate() {
                        widen(part, &mut panels[(i * k + p) * width..][..part.len()]);
                    }
                }
            }
            Self::Weighted(view, weights) => {
                for (p, (row, weight)) in view.data.chunks(view.stride).zip(*weights).enumerate() {
                    for (i, part) in row[lines.clone()].chunks(width).enumerate() {
                        let out = panels[(i * k + p) * width..].iter_mut();
                        out.zip(part).for_each(|(out, x)| *out = weight * x);
                    }
                }
            }
        }
    }
}

/// Reads rows and packs them into one panel [k, width], as many at once as are interleaved at once.
fn read(kernel: &Kernel, rows: &dyn Rows, lines: Range<usize>, scratch: &mut [f32], panel: &mut [f32], width: usize) {
    let k = scratch.len() / LINES;
    for first in lines.clone().step_by(LINES) {
        let stretch = first..lines.end.min(first + LINES);
        let count = stretch.len();
        rows.read(stretch, &mut scratch[..count * k]);
        interleave(kernel, scratch, k, count, &mut panel[first - lines.start..], width);
    }
}

/// Writes element p of row i of `rows` to `panel[p * width + i]`.
fn interleave(kernel: &Kernel, rows: &[f32], stride: usize, count: usize, panel: &mut [f32], width: usize) {
    let k = panel.len().div_ceil(width);
    for start in (0..k).step_by(STEPS) {
        let steps = STEPS.min(k - start);
        let panel = &mut panel[start * width..];
        let row = |i: usize| &rows[i * stride + start..][..steps];
        let whole = count / LINES * LINES;
        for line in (0..whole).step_by(LINES) {
            kernel.interleave(std::array::from_fn(|i| row(line + i)), &mut panel[line..], width);
        }
        for line in whole..count {
            panel[line..].iter_mut().step_by(width).zip(row(line)).for_each(|(out, x)| *out = *x);
        }
    }
}
