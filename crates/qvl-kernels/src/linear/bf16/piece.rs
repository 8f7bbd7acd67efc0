//! A piece of a product: a stretch of inputs after the other, in each of them a strip of rows after the other.

use super::sums::Sums;
use super::tiles::{Ahead, multiply};
use super::{Job, LINES, Line, Piece, SIDE, STRETCH, stretches, weights};
use crate::amx::{BYTES, Bf16, Tiles};

/// The most steps that are multiplied before the next group's turn: the strip's lines of them stay in the first cache.
const NEAR: usize = 18;

/// What a thread computes in.
#[derive(Default)]
pub(super) struct Buffers {
    /// Weights of a stretch, [groups, steps, lines].
    weights: Vec<Line>,
    /// Of a strip, [groups].
    sums: Vec<Sums>,
}

/// What a thread computes a stretch in.
struct Room<'a> {
    weights: &'a mut [Line],
    sums: &'a mut [Sums],
}

/// A strip of rows in a stretch of inputs.
struct Strip<'a> {
    machine: Bf16,
    /// [steps, lines].
    lines: &'a [Line],
    /// Whether this is the first stretch of all.
    fresh: bool,
    /// The next strip, which is brought near meanwhile.
    ahead: Ahead,
    /// What is added to the results, [groups, columns].
    bias: &'a [[f32; SIDE]],
}

/// Computes `piece`.
pub(super) fn compute(machine: Bf16, job: &Job<'_>, piece: Piece<'_>, buffers: &mut Buffers) {
    let (columns, mut rows) = (piece.rows[0].len(), piece.rows);
    let (groups, steps) = (columns.div_ceil(SIDE), job.rounded.steps);
    let outputs = piece.column..piece.column + columns;
    let (none, bias) = (padded(&[], groups), padded(job.bias.map_or(&[], |bias| &bias[outputs.clone()]), groups));
    let places: Vec<*const f32> = rows.iter().step_by(SIDE).map(|row| row.as_ptr()).collect();
    let mut tiles = Tiles::new(machine);
    for stretch in stretches(steps, STRETCH) {
        let Room { weights, sums } = buffers.of(groups, stretch.len());
        weights::round(machine, job, outputs.clone(), stretch.clone(), weights);
        let (fresh, bias) = (stretch.start == 0, if stretch.end == steps { &bias } else { &none });
        let lines = |strip: usize| &job.rounded.strip(piece.row / SIDE + strip)[stretch.start * LINES..];
        for (index, rows) in rows.chunks_mut(SIDE).enumerate() {
            tiles.shape(rows.len());
            let next = (index + 1) % places.len();
            let ahead = Ahead {
                lines: lines(next).as_ptr(),
                stride: LINES * BYTES / groups,
                row: places[next],
                row_stride: job.outputs * size_of::<f32>(),
            };
            let lines = &lines(index)[..stretch.len() * LINES];
            Strip { machine, lines, fresh, ahead, bias }.multiply(&tiles, weights, sums, rows);
        }
    }
}

/// `numbers` in so many groups, and zeros.
fn padded(numbers: &[f32], groups: usize) -> Vec<[f32; SIDE]> {
    let mut padded = vec![[0.0; SIDE]; groups];
    padded.as_flattened_mut()[..numbers.len()].copy_from_slice(numbers);
    padded
}

impl Buffers {
    /// Room for so many groups and steps, with anything in it.
    fn of(&mut self, groups: usize, steps: usize) -> Room<'_> {
        let lines = groups * steps * LINES;
        if self.weights.len() < lines {
            self.weights.resize(lines, Line::default());
        }
        if self.sums.len() < groups {
            self.sums.resize(groups, Sums::default());
        }
        Room { weights: &mut self.weights[..lines], sums: &mut self.sums[..groups] }
    }
}

impl Strip<'_> {
    /// Adds the products with `weights` [groups, steps, lines] to `rows`, or replaces them; `sums` [groups] have them
    /// in between.
    ///
    /// What is in no near cache is read and written beside the products of other tiles, so that the tiles need not
    /// wait: the next strip is fetched step by step, and each group's results go to the rows after the next group's
    /// products: sooner, the tiles' stores would be waited for, which wait for those to the rows before.
    fn multiply(&self, tiles: &Tiles, weights: &[Line], sums: &mut [Sums], rows: &mut [&mut [f32]]) {
        let mut ahead = self.ahead;
        for near in stretches(self.lines.len() / LINES, NEAR) {
            let lines = near.start * LINES..near.end * LINES;
            let (is_first, is_last) = (lines.start == 0, lines.end == self.lines.len());
            for (group, weights) in weights.chunks_exact(self.lines.len()).enumerate() {
                if is_first && !self.fresh {
                    sums[group].load(self.machine, rows, group * SIDE);
                }
                let (strip, weights) = (&self.lines[lines.clone()], &weights[lines.clone()]);
                ahead.row = self.ahead.row.wrapping_byte_add(near.start * ahead.row_stride).wrapping_add(group * SIDE);
                multiply(tiles, strip, weights, is_first && self.fresh, ahead, &mut sums[group]);
                ahead.lines = ahead.lines.wrapping_byte_add(near.len() * ahead.stride);
                if is_last && group > 0 {
                    self.store(sums, group - 1, rows);
                }
            }
        }
        self.store(sums, sums.len() - 1, rows);
    }

    /// Writes the sums of group `group` to `rows`.
    fn store(&self, sums: &[Sums], group: usize, rows: &mut [&mut [f32]]) {
        sums[group].store(self.machine, &self.bias[group], rows, group * SIDE);
    }
}
