//! Weights in the order in which products read them.

use std::ops::Range;

use super::tile::multiply;
use super::vectors::Vectors;
use super::{Job, Piece};
use crate::kernel::{self, LINES};
use crate::linear::Blocks;
use crate::linear::blocks::code;

/// The most outputs of a vector.
pub(crate) const MOST_LANES: usize = 16;

/// The most outputs of a panel.
pub(super) const MOST_WIDTH: usize = 2 * MOST_LANES;

/// Elements that are unpacked at once, a multiple of any block: a panel of them stays in the first cache.
pub(super) const STRETCH: usize = 1024;

/// Elements of the largest block.
const LARGEST: usize = 256;

/// Elements of the smallest block.
pub(super) const SMALLEST: usize = 16;

/// The most blocks of a panel.
const MOST_BLOCKS: usize = STRETCH / SMALLEST * MOST_WIDTH;

/// A stretch of the weights of some outputs, side by side.
#[repr(align(64))]
pub(crate) struct Panel {
    /// [elements / 4, width, 4], in the order of [`super::rounded::Rounded`].
    pub(super) codes: [u8; STRETCH * MOST_WIDTH],
    /// [blocks, width].
    pub(super) scales: [f32; MOST_BLOCKS],
    /// [blocks, width], negated and less what codes are multiplied less.
    pub(super) zero_points: [f32; MOST_BLOCKS],
}

impl Panel {
    pub(super) fn zeros() -> Box<Self> {
        let zeros = [0.0; MOST_BLOCKS];
        Box::new(Self { codes: [0; STRETCH * MOST_WIDTH], scales: zeros, zero_points: zeros })
    }
}

/// Computes a piece, whose shapes have been checked.
///
/// # Safety
/// As for [`Vectors`].
#[inline(always)]
pub(super) unsafe fn compute<V: Vectors>(job: &Job<'_>, piece: &mut Piece<'_>, by_panels: bool, panel: &mut Panel) {
    // SAFETY: the caller's.
    unsafe {
        match (job.blocks.bits, job.blocks.zero_points.is_some()) {
            (4, false) => compute_as::<V, 4, false>(job, piece, by_panels, panel),
            (4, true) => compute_as::<V, 4, true>(job, piece, by_panels, panel),
            (_, false) => compute_as::<V, 8, false>(job, piece, by_panels, panel),
            (_, true) => compute_as::<V, 8, true>(job, piece, by_panels, panel),
        }
    }
}

/// By panels memory is read from front to back; by stretches the rows' part of a stretch stays in the second cache.
///
/// # Safety
/// As for [`Vectors`].
#[inline(always)]
unsafe fn compute_as<V: Vectors, const BITS: usize, const ZERO_POINTS: bool>(
    job: &Job<'_>,
    piece: &mut Piece<'_>,
    by_panels: bool,
    panel: &mut Panel,
) {
    let (width, columns, per_row) = (2 * V::LANES, piece.rows[0].len(), job.rounded.per_row);
    let at_once = STRETCH / job.blocks.size;
    // Few rows need less time than their weights. A little after a little, memory need not wait for them.
    let few = if job.rounded.rows <= V::HEIGHT { LARGEST / job.blocks.size } else { at_once };
    let (panels, stretches) = (columns.div_ceil(width), per_row.div_ceil(at_once));
    for step in 0..panels * stretches {
        let (index, stretch) =
            if by_panels { (step / stretches, step % stretches) } else { (step % panels, step / panels) };
        let columns = index * width..columns.min((index + 1) * width);
        let outputs = piece.column + columns.start..piece.column + columns.end;
        let blocks = stretch * at_once..per_row.min((stretch + 1) * at_once);
        // SAFETY: the caller's; outputs and blocks are of the matrix.
        unsafe {
            gather_scales(&job.blocks, per_row, outputs.clone(), blocks.clone(), width, &mut panel.scales);
            if ZERO_POINTS {
                let centre = if V::CENTRED && BITS == 8 { 128.0 } else { 0.0 };
                let out = &mut panel.zero_points;
                gather_zero_points::<BITS>(&job.blocks, per_row, outputs.clone(), blocks.clone(), width, centre, out);
            }
            for first in blocks.clone().step_by(few) {
                let part = first..blocks.end.min(first + few);
                unpack::<V, BITS>(&job.blocks, per_row, outputs.clone(), part.clone(), by_panels, &mut panel.codes);
                let known = (first - blocks.start) * width;
                multiply::<V, BITS, ZERO_POINTS>(job, piece, columns.clone(), part, panel, known);
            }
        }
    }
    if let Some(bias) = job.bias {
        for row in &mut piece.rows {
            row.iter_mut().zip(&bias[piece.column..]).for_each(|(out, bias)| *out += bias);
        }
    }
}

/// Fills `codes` [elements / 4, width, 4] with blocks `stretch` of the rows `outputs`; missing outputs get zeros.
///
/// # Safety
/// As for [`Vectors`]; `outputs` and `stretch` are within the matrix, whose lengths fit its shape.
#[inline(always)]
unsafe fn unpack<V: Vectors, const BITS: usize>(
    blocks: &Blocks<'_>,
    per_row: usize,
    outputs: Range<usize>,
    stretch: Range<usize>,
    by_panels: bool,
    codes: &mut [u8; STRETCH * MOST_WIDTH],
) {
    let (vector, bytes) = (4 * V::LANES, blocks.size * BITS / 8);
    let end = stretch.len() * bytes;
    // By panels, as much of the next panel is fetched as is unpacked, from front to back.
    let width = 2 * V::LANES;
    let next = (outputs.start + width) * per_row + stretch.start * width;
    let mut next = blocks.codes.as_ptr().wrapping_add(next * bytes);
    for half in 0..2 {
        let first = outputs.start + half * V::LANES;
        let count = outputs.end.saturating_sub(first).min(V::LANES);
        let start = blocks.codes.as_ptr().wrapping_add((first * per_row + stretch.start) * bytes);
        for at in (0..end).step_by(vector) {
            let start = start.wrapping_add(at);
            // SAFETY: each of the `count` rows has `end - at` bytes there; the panel has room for all codes of a stretch, of which
            // `vector` bytes of a row are a part.
            unsafe {
                let to = codes.as_mut_ptr().add((at / 4 * 2 * (8 / BITS) + half) * vector);
                let mut lines = [V::zero_codes(); MOST_LANES];
                if count == V::LANES && end - at >= vector {
                    for (i, line) in lines.iter_mut().take(V::LANES).enumerate() {
                        let start = start.wrapping_add(i * per_row * bytes);
                        if by_panels {
                            V::prefetch(next.wrapping_add(i * vector));
                            V::prefetch_near(start.wrapping_add(2 * vector));
                        }
                        *line = V::load_codes(start);
                    }
                    spread::<V, BITS>(lines, to);
                    next = next.wrapping_add(V::LANES * vector);
                } else {
                    for (i, line) in lines.iter_mut().take(count).enumerate() {
                        let start = start.wrapping_add(i * per_row * bytes);
                        *line = load_some::<V>(std::slice::from_raw_parts(start, vector.min(end - at)));
                    }
                    spread::<V, BITS>(lines, to);
                }
            }
        }
    }
}

/// Writes fours of codes of as many lines as there are lanes to `to` [fours, 2, lanes, 4], where lanes are one half.
///
/// # Safety
/// As for [`Vectors`]; there is room for the codes.
#[inline(always)]
unsafe fn spread<V: Vectors, const BITS: usize>(mut lines: [V::Codes; MOST_LANES], to: *mut u8) {
    let pair = 2 * 4 * V::LANES;
    // SAFETY: the caller's.
    unsafe {
        V::transpose(&mut lines[..V::LANES]);
        for (column, line) in lines.into_iter().take(V::LANES).enumerate() {
            let to = to.add(column * 8 / BITS * pair);
            if BITS == 4 {
                let (low, high) = V::nibbles(line);
                V::store_codes(to, low);
                V::store_codes(to.add(pair), high);
            } else {
                V::store_codes(to, V::centre(line));
            }
        }
    }
}

/// A vector of fewer codes than it has, filled up with zeros.
///
/// # Safety
/// As for [`Vectors`].
#[inline(always)]
unsafe fn load_some<V: Vectors>(codes: &[u8]) -> V::Codes {
    let mut padded = [0; 4 * MOST_LANES];
    padded[..codes.len()].copy_from_slice(codes);
    // SAFETY: a vector has at most so many codes.
    unsafe { V::load_codes(padded.as_ptr()) }
}

/// Fills `scales` [blocks, width] with those of blocks `stretch` of the rows `outputs`, at most `width`.
#[inline(always)]
pub(super) fn gather_scales(
    blocks: &Blocks<'_>,
    per_row: usize,
    mut outputs: impl ExactSizeIterator<Item = usize>,
    stretch: Range<usize>,
    width: usize,
    scales: &mut [f32],
) {
    let row = |output: usize| &blocks.scales[output * per_row + stretch.start..][..stretch.len()];
    for first in (0..outputs.len()).step_by(LINES) {
        let mut lines = [&[][..]; LINES];
        let lines = &mut lines[..LINES.min(outputs.len())];
        lines.iter_mut().zip(&mut outputs).for_each(|(line, output)| *line = row(output));
        interleave(lines, &mut scales[first..], width);
    }
}

/// Fills `out` [blocks, width] with `centre` less the zero points of blocks `stretch` of the rows `outputs`.
#[inline(always)]
pub(super) fn gather_zero_points<const BITS: usize>(
    blocks: &Blocks<'_>,
    per_row: usize,
    mut outputs: impl ExactSizeIterator<Item = usize>,
    stretch: Range<usize>,
    width: usize,
    centre: f32,
    out: &mut [f32],
) {
    let Some(packed) = blocks.zero_points else { return };
    let bytes = (per_row * BITS).div_ceil(8);
    let mut read = [[0.0; STRETCH / SMALLEST]; LINES];
    for first in (0..outputs.len()).step_by(LINES) {
        let mut lines = [&[][..]; LINES];
        let lines = &mut lines[..LINES.min(outputs.len())];
        for ((line, read), output) in lines.iter_mut().zip(&mut read).zip(&mut outputs) {
            let read = &mut read[..stretch.len()];
            read_zero_points::<BITS>(&packed[output * bytes..][..bytes], stretch.start, centre, read);
            *line = read;
        }
        interleave(lines, &mut out[first..], width);
    }
}

/// Fills `out` with `centre` less the zero points of a row from block `start` on.
#[inline(always)]
fn read_zero_points<const BITS: usize>(packed: &[u8], start: usize, centre: f32, out: &mut [f32]) {
    let mut read = 0;
    if BITS == 4 && start.is_multiple_of(2) {
        // A byte at a time, which the compiler vectorises.
        let pairs = out.as_chunks_mut::<2>().0;
        for (pair, byte) in pairs.iter_mut().zip(&packed[start / 2..]) {
            *pair = [centre - f32::from(byte & 15), centre - f32::from(byte >> 4)];
        }
        read = 2 * pairs.len();
    }
    for (i, out) in out.iter_mut().enumerate().skip(read) {
        *out = centre - f32::from(code(packed, start + i, BITS));
    }
}

/// Writes element b of line i to `out[b * width + i]`, for as many lines as are interleaved at once, or fewer.
#[inline(always)]
fn interleave(lines: &[&[f32]], out: &mut [f32], width: usize) {
    if let Ok(lines) = lines.try_into() {
        return kernel::best().interleave(lines, out, width);
    }
    for (i, line) in lines.iter().enumerate() {
        out[i..].iter_mut().step_by(width).zip(*line).for_each(|(out, x)| *out = *x);
    }
}
