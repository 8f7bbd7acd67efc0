//! A piece of a product, tile by tile.

use super::{BLOCK, Job, Panels, Piece};
use crate::int16::{Words, multiply as multiply_pairs};
use crate::lanes::WIDEST;

/// Computes `piece` by tiles of `R` rows and two vectors.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
pub(crate) unsafe fn multiply<W: Words, const R: usize>(job: &Job<'_>, piece: Piece<'_>, panels: &mut Panels) {
    let columns = piece.rows[0].len();
    panels.round::<W>(job, piece.column, columns);
    let mut rows = piece.rows;
    for (index, rows) in rows.chunks_mut(R).enumerate() {
        let strip = piece.row / R + index;
        for (group, first) in (0..columns).step_by(2 * W::COUNT).enumerate() {
            // SAFETY: the caller's.
            let sums = unsafe { tile::<W, R>(job, strip, group, panels) };
            let outputs = first..columns.min(first + 2 * W::COUNT);
            let bias = job.bias.map(|bias| &bias[piece.column..][outputs.clone()]);
            for (row, sums) in rows.iter_mut().zip(&sums) {
                store(*sums, bias, &mut row[outputs.clone()]);
            }
        }
    }
}

/// The sums of a strip and a group over all blocks.
///
/// # Safety
/// As for [`Words`].
#[inline(always)]
unsafe fn tile<W: Words, const R: usize>(job: &Job<'_>, strip: usize, group: usize, panels: &Panels) -> [[W; 2]; R] {
    let (blocks, width) = (job.rounded.blocks, 2 * W::COUNT);
    let mut sums = [[W::splat(0.0); 2]; R];
    for block in 0..blocks {
        let pairs = (job.inputs - block * BLOCK).min(BLOCK).div_ceil(2);
        let (weights, weight_scales) = panels.block(group, block, blocks, width);
        let (rows, row_scales) = job.rounded.block(strip, block);
        // SAFETY: the caller's; rows and weights have the pairs of a whole block.
        let products = unsafe {
            multiply_pairs::<W, R, 2, 2>(pairs, weights.as_ptr(), width, rows.as_flattened().as_ptr(), 2 * R)
        };
        let weight_scales = [W::load(weight_scales), W::load(&weight_scales[W::COUNT..])];
        for ((sums, products), scale) in sums.iter_mut().zip(products).zip(row_scales) {
            for ((sum, product), weight_scale) in sums.iter_mut().zip(products).zip(weight_scales) {
                // SAFETY: the caller's.
                let product = unsafe { W::to_floats(product) };
                *sum = product.mul_add(weight_scale.mul(W::splat(*scale)), *sum);
            }
        }
    }
    sums
}

/// Writes the first of `sums` that there is room for.
#[inline(always)]
fn store<W: Words>(sums: [W; 2], bias: Option<&[f32]>, out: &mut [f32]) {
    let mut numbers = [0.0; 2 * WIDEST];
    sums[0].store(&mut numbers);
    sums[1].store(&mut numbers[W::COUNT..]);
    match bias {
        Some(bias) => out.iter_mut().zip(&numbers).zip(bias).for_each(|((out, sum), bias)| *out = sum + bias),
        None => out.copy_from_slice(&numbers[..out.len()]),
    }
}
