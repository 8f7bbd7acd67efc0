//! From 8-bit frames to the float rows the vision encoder takes (reference/SPEC.md §1.4, §1.5).

use qvl_checkpoint::Grid;

use crate::Rgb8;

/// Colour channels of a frame.
const CHANNELS: usize = 3;

/// A picture or video as the vision encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// `[grid.patches(), 3 * temporal * patch * patch]`, row-major, normalised.
    pub pixel_values: Vec<f32>,
    /// Temporal groups, patch rows and patch columns.
    pub grid: Grid,
    /// Width after resizing, in pixels.
    pub width: usize,
    /// Height after resizing, in pixels.
    pub height: usize,
}

/// How a frame is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PatchShape {
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Frames in a patch.
    pub temporal: usize,
    /// Side of the square of patches that becomes one token.
    pub merge: usize,
}

impl PatchShape {
    /// Both sides of a resized picture are multiples of this.
    pub(crate) fn factor(&self) -> usize {
        self.patch * self.merge
    }

    /// Values in one row of `pixel_values`.
    pub(crate) fn row_len(&self) -> usize {
        CHANNELS * self.temporal * self.patch * self.patch
    }
}

/// The normalised value of every sample, per channel: `(x − 255·mean) / (255·std)` in `f32`.
///
/// A table makes the result independent of how a compiler fuses the arithmetic, and costs one load per sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Normalizer {
    table: Box<[[f32; 256]; CHANNELS]>,
}

impl Normalizer {
    pub(crate) fn new(mean: [f32; CHANNELS], std: [f32; CHANNELS]) -> Self {
        let mut table = Box::new([[0.0; 256]; CHANNELS]);
        for (channel, values) in table.iter_mut().enumerate() {
            let (mean, std) = (mean[channel] * 255.0, std[channel] * 255.0);
            for (sample, value) in values.iter_mut().enumerate() {
                *value = (sample as f32 - mean) / std;
            }
        }
        Self { table }
    }
}

/// Cuts resized frames of one size into rows of patches.
///
/// Rows run over (group, block row, block column, row in block, column in block), so that the patches merged into one
/// token lie next to each other; a row runs over (channel, frame of the group, y, x). Missing frames of the last group
/// repeat the last frame. The sides of the frames are multiples of [`PatchShape::factor`].
pub(crate) fn patchify(frames: &[&Rgb8], shape: PatchShape, normalizer: &Normalizer) -> Patches {
    let Some(&last) = frames.last() else {
        return Patches { pixel_values: Vec::new(), grid: Grid { t: 0, h: 0, w: 0 }, width: 0, height: 0 };
    };
    let grid =
        Grid { t: frames.len().div_ceil(shape.temporal), h: last.height / shape.patch, w: last.width / shape.patch };
    let mut pixel_values = vec![0.0; grid.patches() * shape.row_len()];
    let group_len = grid.h * grid.w * shape.row_len();
    for (group, out) in pixel_values.chunks_exact_mut(group_len).enumerate() {
        for slot in 0..shape.temporal {
            let index = group * shape.temporal + slot;
            let frame = frames.get(index).copied().unwrap_or(last);
            match index.checked_sub(1).map(|i| frames.get(i).copied().unwrap_or(last)) {
                // A repeated frame: copying is cheaper than computing it again.
                Some(before) if slot > 0 && std::ptr::eq(before, frame) => {
                    repeat_slot(out, slot, shape);
                }
                _ => fill_slot(out, frame, slot, grid, shape, normalizer),
            }
        }
    }
    Patches { pixel_values, grid, width: last.width, height: last.height }
}

/// Writes one frame into its place in every row of a group.
fn fill_slot(out: &mut [f32], frame: &Rgb8, slot: usize, grid: Grid, shape: PatchShape, normalizer: &Normalizer) {
    let PatchShape { patch, temporal, merge } = shape;
    let area = patch * patch;
    let mut rows = out.chunks_exact_mut(shape.row_len());
    for block_row in 0..grid.h / merge {
        for block_column in 0..grid.w / merge {
            for in_block in 0..merge * merge {
                let Some(row) = rows.next() else { return };
                let top = (block_row * merge + in_block / merge) * patch;
                let left = (block_column * merge + in_block % merge) * patch;
                for y in 0..patch {
                    let start = ((top + y) * frame.width + left) * CHANNELS;
                    let samples = &frame.data[start..start + patch * CHANNELS];
                    for (channel, table) in normalizer.table.iter().enumerate() {
                        let at = (channel * temporal + slot) * area + y * patch;
                        let line = &mut row[at..at + patch];
                        for (value, pixel) in line.iter_mut().zip(samples.chunks_exact(CHANNELS)) {
                            *value = table[usize::from(pixel[channel])];
                        }
                    }
                }
            }
        }
    }
}

/// Copies the frame before `slot` into `slot`, in every row of a group.
fn repeat_slot(out: &mut [f32], slot: usize, shape: PatchShape) {
    let area = shape.patch * shape.patch;
    for row in out.chunks_exact_mut(shape.row_len()) {
        for channel in 0..CHANNELS {
            let to = (channel * shape.temporal + slot) * area;
            row.copy_within(to - area..to, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: PatchShape = PatchShape { patch: 2, temporal: 2, merge: 2 };

    /// A frame whose red samples number the pixels; green and blue tell the frame.
    fn numbered(width: usize, height: usize, frame: u8) -> Rgb8 {
        let data = (0..width * height).flat_map(|i| [i as u8, frame, 100 + frame]).collect();
        Rgb8::new(width, height, data).unwrap()
    }

    fn identity() -> Normalizer {
        Normalizer::new([0.0; 3], [1.0 / 255.0; 3])
    }

    #[test]
    fn normalising_divides_by_the_half_range() {
        let n = Normalizer::new([0.5; 3], [0.5; 3]);
        for x in 0..256 {
            assert_eq!(n.table[1][x], (x as f32 - 127.5) / 127.5);
        }
    }

    #[test]
    fn blocks_of_patches_stay_together() {
        let frame = numbered(8, 4, 3);
        let patches = patchify(&[&frame], SHAPE, &identity());
        assert_eq!(patches.grid, Grid { t: 1, h: 2, w: 4 });
        let first: Vec<f32> = patches.pixel_values.chunks_exact(SHAPE.row_len()).map(|row| row[0]).collect();
        // Top-left pixels of the patches of the left block, then of the right block.
        assert_eq!(first, [0.0, 2.0, 16.0, 18.0, 4.0, 6.0, 20.0, 22.0]);
        let row = &patches.pixel_values[..SHAPE.row_len()];
        assert_eq!(row[..8], [0.0, 1.0, 8.0, 9.0, 0.0, 1.0, 8.0, 9.0]);
        assert_eq!(row[8..16], [3.0; 8]);
        assert_eq!(row[16..], [103.0; 8]);
    }

    #[test]
    fn an_odd_last_frame_is_repeated() {
        let frames = [numbered(4, 4, 0), numbered(4, 4, 1), numbered(4, 4, 2)];
        let patches = patchify(&frames.each_ref(), SHAPE, &identity());
        assert_eq!(patches.grid, Grid { t: 2, h: 2, w: 2 });
        let green = |row: usize, slot: usize| patches.pixel_values[row * 24 + 8 + slot * 4];
        assert_eq!([green(0, 0), green(0, 1)], [0.0, 1.0]);
        assert_eq!([green(4, 0), green(4, 1)], [2.0, 2.0]);
    }
}
