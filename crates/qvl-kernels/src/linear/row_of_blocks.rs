//! One row times matrices in blocks, in float32.
//!
//! The sums are those of [`crate::product`], bit for bit, as in [`super::gemv`].

use super::{Blocks, Linear};
use crate::kernel::{Kernel, LINES};
use crate::pool::for_each;
use crate::product::DEPTH;

/// Outputs of a piece.
const OUTPUTS: usize = 64;

/// Inputs whose weights are unpacked at once, a multiple of any block: with so many outputs they stay in the first cache.
const INPUTS: usize = 256;

/// Inputs that are added at once.
const TOGETHER: usize = 8;

/// A stretch of outputs.
struct Piece<'a> {
    blocks: Blocks<'a>,
    output: usize,
    bias: Option<&'a [f32]>,
    out: &'a mut [f32],
}

/// Weights of a piece, [inputs, outputs].
#[repr(align(64))]
struct Panel([f32; INPUTS * OUTPUTS]);

/// Computes a product of the row `x` with `blocks`.
pub(super) fn linear(kernel: &Kernel, x: &[f32], blocks: Blocks<'_>, product: &mut Linear<'_>) {
    let Linear { bias, out, .. } = product;
    let pieces = out.chunks_mut(OUTPUTS).enumerate();
    let pieces = pieces.map(|(i, out)| Piece { blocks, output: i * OUTPUTS, bias: *bias, out });
    for_each(pieces, |piece| piece.compute(kernel, x));
}

impl Piece<'_> {
    fn compute(self, kernel: &Kernel, x: &[f32]) {
        let count = self.out.len();
        let mut panel = Panel([0.0; INPUTS * OUTPUTS]);
        self.out.fill(0.0);
        for (depth, stretch) in x.chunks(DEPTH).enumerate() {
            let mut sums = [0.0; OUTPUTS];
            for (i, inputs) in stretch.chunks(INPUTS).enumerate() {
                self.unpack(kernel, x.len(), depth * DEPTH + i * INPUTS, inputs.len(), &mut panel);
                let rows = panel.0.chunks_exact(OUTPUTS * TOGETHER);
                for (inputs, rows) in inputs.chunks(TOGETHER).zip(rows) {
                    let rows: [&[f32]; TOGETHER] = std::array::from_fn(|row| &rows[row * OUTPUTS..][..OUTPUTS]);
                    kernel.accumulate(inputs, &rows[..inputs.len()], &mut sums);
                }
            }
            self.out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
        if let Some(bias) = self.bias {
            self.out.iter_mut().zip(&bias[self.output..][..count]).for_each(|(out, bias)| *out += bias);
        }
    }

    /// Fills `panel` with `count` of the `columns` columns from column `first` on; missing outputs keep what was there.
    fn unpack(&self, kernel: &Kernel, columns: usize, first: usize, count: usize, panel: &mut Panel) {
        let mut lines = [[0.0; INPUTS]; LINES];
        for at in (0..self.out.len()).step_by(LINES) {
            for (i, line) in lines.iter_mut().enumerate().take(self.out.len() - at) {
                self.blocks.read_part(self.output + at + i, columns, first, &mut line[..count]);
            }
            kernel.interleave(std::array::from_fn(|i| &lines[i][..count]), &mut panel.0[at..], OUTPUTS);
        }
    }
}
