//! Whole rows in blocks, as they are stored.

use std::ops::Range;

use qvl_kernels::Rows;

use super::loss::block_loss;
use super::round::{inverse, round};
use super::{BlockFormat, Loss, MAX_BLOCK, Scale, pack, put};

/// Rows of a matrix in blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) format: BlockFormat,
    pub(crate) columns: usize,
    /// Codes of all rows.
    pub(crate) codes: Vec<u8>,
    /// Scales of all rows, float32.
    pub(crate) scales: Vec<u8>,
    /// Packed zero points of all rows; empty if symmetric.
    pub(crate) zero_points: Vec<u8>,
    /// What was lost.
    pub(crate) loss: Loss,
}

impl Blocks {
    /// Room for `rows` rows.
    pub(crate) fn new(format: BlockFormat, rows: usize, columns: usize) -> Self {
        let [codes, scales, zero_points] = format.row_bytes(columns).map(|bytes| vec![0; rows * bytes]);
        Self { format, columns, codes, scales, zero_points, loss: Loss::default() }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.codes.len() / self.format.row_bytes(self.columns)[0].max(1)
    }
}

impl Rows for Blocks {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let [codes, scales, zero_points] = self.format.row_bytes(self.columns);
        for (row, out) in rows.zip(out.chunks_exact_mut(self.columns)) {
            let codes = &self.codes[row * codes..][..codes];
            let scales = &self.scales[row * scales..][..scales];
            let zero_points = &self.zero_points[row * zero_points..][..zero_points];
            self.format.read_row(codes, scales, zero_points, out);
        }
    }
}

impl BlockFormat {
    /// Bytes of a row's codes, scales and zero points.
    pub(crate) fn row_bytes(&self, columns: usize) -> [usize; 3] {
        let blocks = self.blocks(columns);
        let zero_points = if self.symmetric { 0 } else { self.zero_point_bytes(columns) };
        [blocks * self.blob(), blocks * 4, zero_points]
    }

    /// The scale and zero point that each block of a row gets when nothing else is known.
    pub(crate) fn scales_of(&self, row: &[f32]) -> Vec<Scale> {
        let (mut values, mut codes) = ([0.0; MAX_BLOCK], [0.0; MAX_BLOCK]);
        let (values, codes) = (&mut values[..self.size], &mut codes[..self.size]);
        let block = |block: &[f32]| {
            values.fill(0.0);
            values[..block.len()].copy_from_slice(block);
            self.quantize_block(values, codes)
        };
        row.chunks(self.size).map(block).collect()
    }

    /// The values that a row has once it is stored.
    pub(crate) fn rounded(&self, row: &[f32]) -> Vec<f32> {
        let mut blocks = Blocks::new(*self, 1, row.len());
        let Blocks { codes, scales, zero_points, .. } = &mut blocks;
        self.quantize_row(row, codes, scales, zero_points);
        let mut rounded = vec![0.0; row.len()];
        blocks.read(0..1, &mut rounded);
        rounded
    }

    /// The code of one value in a block with this scale.
    pub(crate) fn code(&self, value: f32, scale: Scale) -> f32 {
        (round(value * inverse(scale.scale)) + scale.zero_point).clamp(0.0, self.last())
    }

    /// Stores a row of which the codes, whole numbers, and the scales were found before; returns what was lost.
    pub(crate) fn store_row(
        &self,
        row: &[f32],
        row_codes: &[f32],
        row_scales: &[Scale],
        codes: &mut [u8],
        scales: &mut [u8],
        zero_points: &mut [u8],
    ) -> Loss {
        let (mut values, mut whole) = ([0.0; MAX_BLOCK], [0.0; MAX_BLOCK]);
        let (values, whole) = (&mut values[..self.size], &mut whole[..self.size]);
        let mut loss = Loss::default();
        zero_points.fill(0);
        for (index, (row, row_codes)) in row.chunks(self.size).zip(row_codes.chunks(self.size)).enumerate() {
            let scale = row_scales[index];
            values.fill(0.0);
            values[..row.len()].copy_from_slice(row);
            whole.fill(scale.zero_point);
            whole[..row.len()].copy_from_slice(row_codes);
            pack(whole, self.bits, &mut codes[index * self.blob()..][..self.blob()]);
            scales[index * 4..][..4].copy_from_slice(&scale.scale.to_le_bytes());
            if !self.symmetric {
                put(zero_points, index, scale.zero_point as u8, self.bits);
            }
            loss += block_loss(values, whole, scale);
        }
        loss
    }

    /// The values of a stored row.
    fn read_row(&self, codes: &[u8], scales: &[u8], zero_points: &[u8], out: &mut [f32]) {
        let blocks = out.chunks_mut(self.size).zip(codes.chunks_exact(self.blob()));
        for (index, (out, codes)) in blocks.enumerate() {
            let scale = [0, 1, 2, 3].map(|byte| scales[index * 4 + byte]);
            let scale = f32::from_le_bytes(scale);
            let zero_point = if self.symmetric { self.middle() } else { take(zero_points, index, self.bits) };
            for (place, out) in out.iter_mut().enumerate() {
                *out = (take(codes, place, self.bits) - zero_point) * scale;
            }
        }
    }
}

/// One packed value at `index`.
fn take(packed: &[u8], index: usize, bits: usize) -> f32 {
    match bits {
        8 => f32::from(packed[index]),
        _ => f32::from(packed[index / 2] >> (4 * (index % 2)) & 15),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qvl_package::Method;

    use super::*;

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_stored(
            row in prop::collection::vec(-3.0_f32..3.0, 1..200),
            bits in prop::sample::select(vec![4, 8]),
            size in prop::sample::select(vec![16, 64]),
            symmetric in any::<bool>(),
        ) {
            let format = BlockFormat { bits, size, symmetric, method: Method::Search, accuracy_level: 0 };
            let mut blocks = Blocks::new(format, 1, row.len());
            let scales = format.scales_of(&row);
            let codes: Vec<f32> =
                row.iter().enumerate().map(|(i, &value)| format.code(value, scales[i / size])).collect();
            let Blocks { codes: stored, scales: stored_scales, zero_points, .. } = &mut blocks;
            format.store_row(&row, &codes, &scales, stored, stored_scales, zero_points);
            let mut read = vec![0.0; row.len()];
            blocks.read(0..1, &mut read);
            for (i, value) in read.iter().enumerate() {
                prop_assert_eq!(*value, (codes[i] - scales[i / size].zero_point) * scales[i / size].scale);
            }

            // The same row through the usual way: the closest code is what it takes for its last scale as well, but for
            // values on the edge of two codes, because the scale is fitted after the codes were chosen.
            let mut usual = Blocks::new(format, 1, row.len());
            let Blocks { codes: stored, scales: stored_scales, zero_points, .. } = &mut usual;
            let usual_loss = format.quantize_row(&row, stored, stored_scales, zero_points);
            prop_assert_eq!(&usual.scales, &blocks.scales);
            prop_assert_eq!(&usual.zero_points, &blocks.zero_points);
            prop_assert!(usual_loss.relative().is_finite());
        }
    }
}
