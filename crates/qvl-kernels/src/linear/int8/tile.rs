//! Products of rounded rows with a panel, in registers.

use std::ops::Range;

use super::panel::{MOST_WIDTH, Panel};
use super::rounded::Block;
use super::vectors::Vectors;
use super::{Job, Piece};

/// The most rows of a tile.
const MOST_HEIGHT: usize = 6;

/// Some rows of a stretch; see [`super::rounded::Rounded`].
struct Strip {
    codes: *const u8,
    blocks: *const Block,
    /// How many blocks of how many elements.
    count: usize,
    size: usize,
    /// Scales and zero points of the panel.
    scales: *const f32,
    zero_points: *const f32,
    /// Whether sums begin here.
    first: bool,
}

/// Adds to columns `columns` of a piece the products of blocks `stretch`, which `panel` has, their scales from number `known`
/// on; the first ones replace what is there.
///
/// # Safety
/// As for [`Vectors`]; `stretch` is within the rows.
#[inline(always)]
pub(super) unsafe fn multiply<V: Vectors, const BITS: usize, const ZERO_POINTS: bool>(
    job: &Job<'_>,
    piece: &mut Piece<'_>,
    columns: Range<usize>,
    stretch: Range<usize>,
    panel: &Panel,
    known: usize,
) {
    let (count, size, first) = (stretch.len(), job.blocks.size, stretch.start == 0);
    let whole = columns.len() == 2 * V::LANES;
    for (i, rows) in piece.rows.chunks_mut(V::HEIGHT).enumerate() {
        let (codes, blocks) = job.rounded.strip(piece.row + i * V::HEIGHT, stretch.start, count);
        let (scales, zero_points) = (panel.scales[known..].as_ptr(), panel.zero_points[known..].as_ptr());
        let (codes, blocks) = (codes.as_ptr(), blocks.as_ptr());
        let strip = Strip { codes, blocks, count, size, scales, zero_points, first };
        let mut edge = [[0.0; MOST_WIDTH]; MOST_HEIGHT];
        if !whole && !first {
            let each = edge.iter_mut().zip(&*rows);
            each.for_each(|(edge, row)| edge[..columns.len()].copy_from_slice(&row[columns.clone()]));
        }
        let mut sums = [std::ptr::null_mut(); MOST_HEIGHT];
        for ((sums, edge), row) in sums.iter_mut().zip(&mut edge).zip(&mut *rows) {
            *sums = if whole { row[columns.clone()].as_mut_ptr() } else { edge.as_mut_ptr() };
        }
        // SAFETY: the strip has as many rows as the tile and as many blocks as the panel, and there are as many sums.
        unsafe {
            match rows.len() {
                1 => tile::<V, BITS, ZERO_POINTS, 1, 4>(&strip, panel, sums),
                2 => tile::<V, BITS, ZERO_POINTS, 2, 2>(&strip, panel, sums),
                3 => tile::<V, BITS, ZERO_POINTS, 3, 2>(&strip, panel, sums),
                4 => tile::<V, BITS, ZERO_POINTS, 4, 1>(&strip, panel, sums),
                5 => tile::<V, BITS, ZERO_POINTS, 5, 1>(&strip, panel, sums),
                _ => tile::<V, BITS, ZERO_POINTS, 6, 1>(&strip, panel, sums),
            }
        }
        if !whole {
            let each = edge.iter().zip(rows);
            each.for_each(|(edge, row)| row[columns.clone()].copy_from_slice(&edge[..columns.len()]));
        }
    }
}

/// Adds the products of `H` rows with a panel to `sums`, block after block. The integers of a block are added in `CHAINS`
/// sums, so that few rows need not wait for each other's products either.
///
/// # Safety
/// As for [`Vectors`]; there are `H` rows of `strip.count` blocks and as many `sums` of two vectors.
#[inline(always)]
unsafe fn tile<V: Vectors, const BITS: usize, const ZERO_POINTS: bool, const H: usize, const CHAINS: usize>(
    strip: &Strip,
    panel: &Panel,
    sums: [*mut f32; MOST_HEIGHT],
) {
    const UNROLLED: usize = 4;
    // SAFETY: the caller's.
    unsafe {
        let mut totals = [[V::splat(0.0); 2]; H];
        if !strip.first {
            for (total, sums) in totals.iter_mut().zip(sums) {
                *total = [V::load(sums), V::load(sums.add(V::LANES))];
            }
        }
        let (mut codes, mut inputs) = (panel.codes.as_ptr(), strip.codes);
        for block in 0..strip.count {
            let known = |row: usize| &*strip.blocks.add(block * H + row);
            let mut chains = [[[V::splat_int(0); 2]; H]; CHAINS];
            if !ZERO_POINTS {
                for (row, ints) in chains[0].iter_mut().enumerate() {
                    *ints = [V::splat_int(known(row).offset); 2];
                }
            }
            for _ in 0..strip.size / (4 * UNROLLED) {
                for step in 0..UNROLLED {
                    let weights = [V::load_codes(codes), V::load_codes(codes.add(4 * V::LANES))];
                    for ints in &mut chains[step % CHAINS] {
                        let four = V::splat_codes(inputs);
                        ints[0] = V::dot::<BITS>(ints[0], weights[0], four);
                        ints[1] = V::dot::<BITS>(ints[1], weights[1], four);
                        inputs = inputs.wrapping_add(4);
                    }
                    codes = codes.wrapping_add(8 * V::LANES);
                }
            }
            let (sums, others) = chains.split_at_mut(1);
            for ints in others {
                for (sum, int) in sums[0].as_flattened_mut().iter_mut().zip(ints.as_flattened()) {
                    *sum = V::add_ints(*sum, *int);
                }
            }
            for half in 0..2 {
                let at = (2 * block + half) * V::LANES;
                let scales = V::load(strip.scales.add(at));
                for (row, (total, ints)) in totals.iter_mut().zip(&chains[0]).enumerate() {
                    let mut product = V::to_floats(ints[half]);
                    if ZERO_POINTS {
                        // Exact: none of the numbers reaches 2²⁴.
                        let zero_points = V::load(strip.zero_points.add(at));
                        product = V::multiply_add(zero_points, V::splat(known(row).sum), product);
                    }
                    let scale = V::multiply(V::splat(known(row).scale), scales);
                    total[half] = V::multiply_add(product, scale, total[half]);
                }
            }
        }
        for (total, sums) in totals.into_iter().zip(sums) {
            V::store(sums, total[0]);
            V::store(sums.add(V::LANES), total[1]);
        }
    }
}
