//! Plain Rust, for machines without a kernel of their own; the compiler vectorises it for the least common machine.

use super::{Kernel, LINES, Tile};

const ROWS: usize = 4;
const COLUMNS: usize = 8;

pub(super) static KERNEL: Kernel =
    Kernel { name: "portable", rows: ROWS, columns: COLUMNS, tile, interleave, accumulate };

fn tile(a: &[f32], b: &[f32], tile: &mut Tile) {
    let mut sums = [[0.0f32; COLUMNS]; ROWS];
    for (a, b) in a.as_chunks::<ROWS>().0.iter().zip(b.as_chunks::<COLUMNS>().0) {
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    tile.0[..ROWS * COLUMNS].copy_from_slice(sums.as_flattened());
}

/// [`Kernel::interleave`] for any machine.
pub(super) fn interleave(lines: [&[f32]; LINES], out: &mut [f32], width: usize) {
    for (p, out) in out.chunks_mut(width).take(lines[0].len()).enumerate() {
        for (out, line) in out.iter_mut().zip(lines) {
            *out = line[p];
        }
    }
}

/// [`Kernel::accumulate`] for any machine.
fn accumulate(x: &[f32], rows: &[&[f32]], sums: &mut [f32]) {
    super::accumulate(x, rows, sums, |x, y, sum| x * y + sum);
}
