//! One row times weights as they lie in memory, line by line.
//!
//! A panel would be unpacked for this row alone, which takes longer than the products. Here a vector has codes of one
//! output, and the lanes' sums are added block by block. These are integers, so the results are those of panels.
//!
//! Each lane has outputs of its own, which follow each other. So memory is read at as many places as there are lanes,
//! and at each of them from front to back over more than a page: that is what processors fetch ahead by themselves.
//! Lanes beside each other would share pages where rows are short, which is read at two thirds of the speed.

use super::panel::{MOST_LANES, Panel, SMALLEST, STRETCH, gather_scales, gather_zero_points};
use super::vectors::Vectors;
use super::{Job, Piece};

/// Blocks whose scales are gathered at once.
const BLOCKS: usize = STRETCH / SMALLEST;

/// Bytes that are fetched ahead at each place.
const AHEAD: usize = 512;

/// What this way needs of an instruction set beside the rest.
///
/// # Safety
/// As for [`Vectors`].
pub(super) trait Lines: Vectors {
    /// The even and the odd fours of the codes of `a` and then `b`.
    unsafe fn split_fours(a: Self::Codes, b: Self::Codes) -> (Self::Codes, Self::Codes);
    /// The sum of all lanes of line i in lane i.
    unsafe fn sum_lines(lines: [Self::Ints; MOST_LANES]) -> Self::Ints;
}

/// Computes a piece of one row, whose shapes have been checked and whose blocks are whole vectors.
///
/// # Safety
/// As for [`Vectors`].
#[inline(always)]
pub(super) unsafe fn compute<V: Lines>(job: &Job<'_>, piece: &mut Piece<'_>, panel: &mut Panel) {
    // SAFETY: the caller's.
    unsafe {
        match (job.blocks.bits, job.blocks.zero_points.is_some()) {
            (4, false) => compute_as::<V, 4, false>(job, piece, panel),
            (4, true) => compute_as::<V, 4, true>(job, piece, panel),
            (_, false) => compute_as::<V, 8, false>(job, piece, panel),
            (_, true) => compute_as::<V, 8, true>(job, piece, panel),
        }
    }
}

/// # Safety
/// As for [`Vectors`].
#[inline(always)]
unsafe fn compute_as<V: Lines, const BITS: usize, const ZERO_POINTS: bool>(
    job: &Job<'_>,
    piece: &mut Piece<'_>,
    panel: &mut Panel,
) {
    let (per_row, out) = (job.rounded.per_row, &mut *piece.rows[0]);
    let (first, end, each) = (piece.column, piece.column + out.len(), out.len().div_ceil(V::LANES));
    for first in first..first + each {
        let outputs = (first..end).step_by(each);
        let mut totals = [0.0; MOST_LANES];
        for start in (0..per_row).step_by(BLOCKS) {
            let blocks = start..per_row.min(start + BLOCKS);
            gather_scales(&job.blocks, per_row, outputs.clone(), blocks.clone(), V::LANES, &mut panel.scales);
            if ZERO_POINTS {
                let centre = if V::CENTRED && BITS == 8 { 128.0 } else { 0.0 };
                let out = &mut panel.zero_points;
                let (outputs, blocks) = (outputs.clone(), blocks.clone());
                gather_zero_points::<BITS>(&job.blocks, per_row, outputs, blocks, V::LANES, centre, out);
            }
            let group = Group { job, first, each, count: outputs.len(), start, blocks: blocks.len() };
            // SAFETY: the caller's; the outputs and blocks are of the matrix.
            unsafe { group.add::<V, BITS, ZERO_POINTS>(panel, &mut totals) }
        }
        for (output, total) in outputs.zip(totals) {
            out[output - piece.column] = total + job.bias.map_or(0.0, |bias| bias[output]);
        }
    }
}

/// A stretch of blocks of an output of each lane, or of the first lanes.
struct Group<'a> {
    job: &'a Job<'a>,
    /// The first output, how far the next one is, and how many there are.
    first: usize,
    each: usize,
    count: usize,
    /// The first block, and how many there are.
    start: usize,
    blocks: usize,
}

impl Group<'_> {
    /// Adds the products to `totals`.
    ///
    /// # Safety
    /// As for [`Vectors`]; the outputs and blocks are of the matrix.
    #[inline(always)]
    unsafe fn add<V: Lines, const BITS: usize, const ZERO_POINTS: bool>(
        &self,
        panel: &Panel,
        totals: &mut [f32; MOST_LANES],
    ) {
        let (blocks, vector) = (&self.job.blocks, 4 * V::LANES);
        let bytes = blocks.size * BITS / 8;
        let row = self.job.rounded.per_row * bytes;
        let base = blocks.codes.as_ptr().wrapping_add(self.first * row + self.start * bytes);
        // Lanes without an output have the last one's codes.
        let mut lines = [base; MOST_LANES];
        for (lane, line) in lines.iter_mut().enumerate() {
            *line = base.wrapping_add(lane.min(self.count - 1) * self.each * row);
        }
        let (codes, known) = self.job.rounded.strip(0, self.start, self.blocks);
        let mut inputs = codes.as_ptr();
        // SAFETY: the caller's; each line has `blocks` blocks of whole vectors there, and so have the inputs.
        unsafe {
            let mut total = V::load(totals.as_ptr());
            for (index, known) in known[..self.blocks].iter().enumerate() {
                let mut sums = [V::splat_int(0); MOST_LANES];
                for at in (index * bytes..(index + 1) * bytes).step_by(vector) {
                    let (low, high) = match BITS {
                        4 => V::split_fours(V::load_codes(inputs), V::load_codes(inputs.add(vector))),
                        _ => (V::load_codes(inputs), V::zero_codes()),
                    };
                    inputs = inputs.wrapping_add(vector * 8 / BITS);
                    for (sum, line) in sums.iter_mut().zip(lines).take(V::LANES) {
                        let codes = V::load_codes(line.add(at));
                        V::prefetch(line.wrapping_add(at + AHEAD));
                        if BITS == 4 {
                            let (even, odd) = V::nibbles(codes);
                            *sum = V::dot::<BITS>(V::dot::<BITS>(*sum, even, low), odd, high);
                        } else {
                            *sum = V::dot::<BITS>(*sum, V::centre(codes), low);
                        }
                    }
                }
                let sums = V::sum_lines(sums);
                let mut product = V::to_floats(match ZERO_POINTS {
                    true => sums,
                    false => V::add_ints(sums, V::splat_int(known.offset)),
                });
                if ZERO_POINTS {
                    // Exact: none of the numbers reaches 2²⁴.
                    let zero_points = V::load(panel.zero_points[index * V::LANES..].as_ptr());
                    product = V::multiply_add(zero_points, V::splat(known.sum), product);
                }
                let scale = V::multiply(V::splat(known.scale), V::load(panel.scales[index * V::LANES..].as_ptr()));
                total = V::multiply_add(product, scale, total);
            }
            V::store(totals.as_mut_ptr(), total);
        }
    }
}
