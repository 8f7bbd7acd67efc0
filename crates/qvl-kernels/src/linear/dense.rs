//! Products in float32.

use std::ops::Range;

use super::{Blocks, Elements, Linear, gemv, row_of_blocks};
use crate::kernel::Kernel;
use crate::pack::Operand;
use crate::product::{Part, Product, Update};
use crate::{Rows, View, ViewMut};

/// Rows of a matrix in blocks.
struct Unpacked<'a>(Blocks<'a>);

impl Rows for Unpacked<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let columns = out.len() / rows.len();
        rows.zip(out.chunks_mut(columns)).for_each(|(row, out)| self.0.read_row(row, out));
    }
}

/// Computes `products` of the rows `x` [m, inputs]; the shapes have been checked.
pub(super) fn linear(kernel: &Kernel, x: &[f32], m: usize, products: Vec<&mut Linear<'_>>) {
    let direct = |product: &&mut Linear<'_>| m == 1 && !matches!(product.matrix.elements, Elements::Blocks(_));
    let (direct, others): (Vec<_>, Vec<_>) = products.into_iter().partition(direct);
    gemv::linear(kernel, x, direct);
    for product in others {
        match product.matrix.elements {
            Elements::Blocks(blocks) if m == 1 => row_of_blocks::linear(kernel, x, blocks, product),
            _ => multiply(kernel, x, m, product),
        }
    }
}

/// Computes a product by tiles.
fn multiply(kernel: &Kernel, x: &[f32], m: usize, product: &mut Linear<'_>) {
    let (k, n) = (product.matrix.inputs, product.matrix.outputs);
    let run = |b: Operand<'_>, out: &mut [f32]| {
        let a = Operand::Rows(View::new(x, m, k));
        Product { kernel, a, b, k, update: Update::Replace, part: Part::All }.run(ViewMut::new(out, m, n));
    };
    match product.matrix.elements {
        Elements::Float32(w) => run(Operand::Columns(View::new(w, k, n)), product.out),
        Elements::Float16(w) => run(Operand::Halves(w, n), product.out),
        Elements::Blocks(blocks) => run(Operand::Source(&Unpacked(blocks)), product.out),
    }
    product.add_bias();
}
