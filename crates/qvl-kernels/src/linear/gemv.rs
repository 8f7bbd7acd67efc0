//! One row times matrices [inputs, outputs].
//!
//! The sums are those of [`crate::product`], bit for bit, so that a row's result is the same alone and among others.

use half::f16;

use super::{Elements, Linear};
use crate::kernel::Kernel;
use crate::lanes::widen;
use crate::pool::for_each;
use crate::product::DEPTH;

/// Outputs of a piece: their sums stay in the first cache while the matrix goes by, and their part of a row is a page or two
/// of memory.
const STRETCH: usize = 2048;

/// Rows of a matrix that are added at once.
const TOGETHER: usize = 4;

/// A stretch of outputs.
struct Piece<'a> {
    elements: Elements<'a>,
    outputs: usize,
    column: usize,
    bias: Option<&'a [f32]>,
    out: &'a mut [f32],
}

/// Computes `products` of the row `x`.
pub(super) fn linear(kernel: &Kernel, x: &[f32], products: Vec<&mut Linear<'_>>) {
    let mut pieces = Vec::new();
    for Linear { matrix, bias, out } in products {
        pieces.extend(out.chunks_mut(STRETCH).enumerate().map(|(i, out)| Piece {
            elements: matrix.elements,
            outputs: matrix.outputs,
            column: i * STRETCH,
            bias: *bias,
            out,
        }));
    }
    for_each(pieces.into_iter(), |piece| piece.compute(kernel, x));
}

impl Piece<'_> {
    fn compute(self, kernel: &Kernel, x: &[f32]) {
        let columns = self.column..self.column + self.out.len();
        let mut sums = [0.0; STRETCH];
        let sums = &mut sums[..columns.len()];
        let mut converted = [[0.0; STRETCH]; TOGETHER];
        self.out.fill(0.0);
        for (depth, x) in x.chunks(DEPTH).enumerate() {
            sums.fill(0.0);
            for (i, x) in x.chunks(TOGETHER).enumerate() {
                let first = depth * DEPTH + i * TOGETHER;
                let at = |row: usize| (first + row) * self.outputs + columns.start;
                let mut rows = [&[][..]; TOGETHER];
                for (i, (row, converted)) in rows.iter_mut().zip(&mut converted).take(x.len()).enumerate() {
                    *row = match self.elements {
                        Elements::Float32(w) => &w[at(i)..][..columns.len()],
                        Elements::Float16(w) => convert(&w[at(i)..][..columns.len()], converted),
                        Elements::Blocks(_) => continue,
                    };
                }
                kernel.accumulate(x, &rows[..x.len()], sums);
            }
            self.out.iter_mut().zip(&*sums).for_each(|(out, sum)| *out += sum);
        }
        if let Some(bias) = self.bias {
            self.out.iter_mut().zip(&bias[columns]).for_each(|(out, bias)| *out += bias);
        }
    }
}

fn convert<'a>(halves: &[f16], out: &'a mut [f32; STRETCH]) -> &'a [f32] {
    let out = &mut out[..halves.len()];
    widen(halves, out);
    out
}
