//! Where a frame's patches lie: block order, interpolated position embedding, rotary angles (§4.2, §4.3).

use qvl_checkpoint::{Grid, VisionConfig};
use qvl_kernels::for_each;

/// What is added to a frame's patches, and by what their heads are rotated; the same for all frames of a grid.
#[derive(Debug)]
pub(super) struct FramePositions {
    /// The learned positions, [patches, hidden].
    pub(super) learned: Vec<f32>,
    /// Cosines of the rotary angles, [patches, head size / 2].
    pub(super) cos: Vec<f32>,
    /// Sines, as `cos`.
    pub(super) sin: Vec<f32>,
}

impl FramePositions {
    /// The positions of the patches of `grid`'s frames, whose sides are multiples of the merge size. `table` is the learned
    /// one, [side², hidden].
    pub(super) fn new(grid: Grid, table: &[f32], config: &VisionConfig) -> Self {
        let places = places(grid, config.spatial_merge_size);
        let angles = angles(&places, &config.inverse_frequencies());
        Self {
            learned: learned(grid, &places, table, config),
            cos: angles.iter().map(|angle| angle.cos()).collect(),
            sin: angles.iter().map(|angle| angle.sin()).collect(),
        }
    }
}

/// Row and column of each patch of a frame, in the order in which they come: the blocks that will be merged, `merge` by
/// `merge` patches, one after another in row-major order, and so the patches in each block.
fn places(grid: Grid, merge: usize) -> Vec<[usize; 2]> {
    let across = grid.w / merge;
    let place = |index: usize| {
        let (block, inside) = (index / (merge * merge), index % (merge * merge));
        [block / across * merge + inside / merge, block % across * merge + inside % merge]
    };
    (0..grid.h * grid.w).map(place).collect()
}

/// The rotary angles, rows' in the first half and columns' in the second, [patches, head size / 2].
fn angles(places: &[[usize; 2]], frequencies: &[f32]) -> Vec<f32> {
    let of = |coordinate: usize| frequencies.iter().map(move |frequency| coordinate as f32 * frequency);
    places.iter().flat_map(|&[row, column]| of(row).chain(of(column))).collect()
}

/// The learned positions, the table stretched over the frame, [patches, hidden]: its corners fall on the frame's corners, and
/// between its entries values are interpolated linearly.
fn learned(grid: Grid, places: &[[usize; 2]], table: &[f32], config: &VisionConfig) -> Vec<f32> {
    let (hidden, side) = (config.hidden_size, config.grid_side());
    let mut out = vec![0.0; places.len() * hidden];
    for_each(out.chunks_mut(hidden).zip(places), |(out, &[row, column])| {
        let (rows, columns) = (taps(row, grid.h, side), taps(column, grid.w, side));
        let tap = |r: usize, c: usize| {
            let entry = &table[(rows[r].0 * side + columns[c].0) * hidden..][..hidden];
            (entry, rows[r].1 * columns[c].1)
        };
        let taps = [tap(0, 0), tap(0, 1), tap(1, 0), tap(1, 1)];
        for (index, out) in out.iter_mut().enumerate() {
            let [a, b, c, d] = taps.map(|(entry, weight)| entry[index] * weight);
            *out = a + b + c + d;
        }
    });
    out
}

/// Along one axis of `size` patches, the two entries of the table around a position, and their weights. In float32 and in this
/// order: the reference's rounding.
fn taps(position: usize, size: usize, side: usize) -> [(usize, f32); 2] {
    let gaps = size.saturating_sub(1).max(1);
    let place = position as f32 * (side - 1) as f32 / gaps as f32;
    let below = place.floor();
    let weight = place - below;
    let low = below as usize;
    [(low, 1.0 - weight), ((low + 1).min(side - 1), weight)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patches_come_in_blocks() {
        let found = places(Grid { t: 1, h: 2, w: 4 }, 2);
        assert_eq!(found, [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3], [1, 2], [1, 3]]);
    }

    #[test]
    fn corners_fall_on_corners() {
        assert_eq!(taps(0, 5, 48), [(0, 1.0), (1, 0.0)]);
        assert_eq!(taps(4, 5, 48), [(47, 1.0), (47, 0.0)]);
        assert_eq!(taps(0, 1, 48), [(0, 1.0), (1, 0.0)]);
        assert_eq!(taps(1, 3, 4), [(1, 0.5), (2, 0.5)]);
    }

    proptest! {
        #[test]
        fn every_place_comes_once((rows, columns, merge) in (1..9_usize, 1..9_usize, 1..4_usize)) {
            let grid = Grid { t: 1, h: rows * merge, w: columns * merge };
            let mut found = places(grid, merge);
            found.sort_unstable();
            let expected: Vec<_> = (0..grid.h).flat_map(|row| (0..grid.w).map(move |column| [row, column])).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn taps_lie_in_the_table(size in 1..400_usize, position in 0..400_usize, side in 1..60_usize) {
            let taps = taps(position % size, size, side);
            prop_assert!(taps.iter().all(|&(index, weight)| index < side && (0.0..=1.0).contains(&weight)));
            prop_assert_eq!(taps[0].1 + taps[1].1, 1.0);
        }
    }
}
