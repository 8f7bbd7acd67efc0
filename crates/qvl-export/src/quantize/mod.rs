//! Weights in blocks of few bits, each block with a scale and, if asymmetric, a zero point.
//!
//! A value is `(code − zero point) · scale`. The layout is that of ONNX Runtime's `MatMulNBits`: codes of a block lie one
//! after another, two in a byte for 4 bits with the first in the low half; a symmetric block's zero point is the middle
//! of the codes, 8 or 128, and is not stored.

mod blocks;
mod loss;
mod round;
mod search;

pub(crate) use blocks::Blocks;
pub(crate) use loss::Loss;
use loss::block_loss;
use qvl_package::Method;
use round::{largest_magnitude, quantize_affine, quantize_symmetric, range};

/// Form of the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockFormat {
    /// Bits of a code, 4 or 8.
    pub bits: usize,
    /// Values in a block, a power of two from 16 to 256.
    pub size: usize,
    /// Whether the zero point is fixed.
    pub symmetric: bool,
    /// How scales and zero points are found.
    pub method: Method,
    /// What a runtime may round activations to: 0 nothing, 4 blocks of int8.
    pub accuracy_level: usize,
}

impl BlockFormat {
    /// The zero point of symmetric blocks, half the number of codes.
    pub(crate) fn middle(&self) -> f32 {
        (1 << (self.bits - 1)) as f32
    }

    /// The largest code.
    fn last(&self) -> f32 {
        ((1 << self.bits) - 1) as f32
    }

    /// Blocks of a row of `columns` values; the last may be filled up.
    pub(crate) fn blocks(&self, columns: usize) -> usize {
        columns.div_ceil(self.size)
    }

    /// Bytes of a block's codes.
    pub(crate) fn blob(&self) -> usize {
        self.size * self.bits / 8
    }

    /// Bytes of a row's zero points.
    pub(crate) fn zero_point_bytes(&self, columns: usize) -> usize {
        (self.blocks(columns) * self.bits).div_ceil(8)
    }

    /// Quantises a row into `codes`, one float32 scale for each block, and, if asymmetric, packed zero points; returns
    /// what was lost.
    pub(crate) fn quantize_row(
        &self,
        row: &[f32],
        codes: &mut [u8],
        scales: &mut [u8],
        zero_points: &mut [u8],
    ) -> Loss {
        let mut loss = Loss::default();
        let mut values = [0.0; MAX_BLOCK];
        let mut quantized = [0.0; MAX_BLOCK];
        let (values, quantized) = (&mut values[..self.size], &mut quantized[..self.size]);
        zero_points.fill(0);
        let blocks = row.chunks(self.size).zip(codes.chunks_exact_mut(self.blob())).zip(scales.chunks_exact_mut(4));
        for (index, ((block, codes), scale)) in blocks.enumerate() {
            // Filling up with zeros changes no sum, and a zero is its own code's value.
            values.fill(0.0);
            values[..block.len()].copy_from_slice(block);
            let found = self.quantize_block(values, quantized);
            scale.copy_from_slice(&found.scale.to_le_bytes());
            pack(quantized, self.bits, codes);
            if !self.symmetric {
                put(zero_points, index, found.zero_point as u8, self.bits);
            }
            loss += block_loss(values, quantized, found);
        }
        loss
    }

    /// What quantising a row would lose.
    pub(crate) fn row_loss(&self, row: &[f32]) -> Loss {
        let mut blocks = Blocks::new(*self, 1, row.len());
        let Blocks { codes, scales, zero_points, .. } = &mut blocks;
        self.quantize_row(row, codes, scales, zero_points)
    }

    fn quantize_block(&self, values: &[f32], codes: &mut [f32]) -> Scale {
        match (self.symmetric, self.method) {
            (true, Method::Rtn) => quantize_symmetric(values, largest_magnitude(values) / -self.middle(), self, codes),
            (false, Method::Rtn) => quantize_affine(values, range(values), self, codes),
            // Where calibration has given no codes, its methods round as the search does.
            (true, Method::Search | Method::Awq | Method::Gptq) => search::symmetric(values, self, codes),
            (false, Method::Search | Method::Awq | Method::Gptq) => search::affine(values, self, codes),
        }
    }
}

/// Largest block.
const MAX_BLOCK: usize = 256;

/// Lanes in which sums are kept, so that they can be computed side by side in a fixed order.
const LANES: usize = 8;

/// A block's scale and zero point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) scale: f32,
    pub(crate) zero_point: f32,
}

/// Packs codes, given as whole numbers, into bytes.
fn pack(codes: &[f32], bits: usize, out: &mut [u8]) {
    if bits == 8 {
        for (code, out) in codes.iter().zip(out) {
            *out = *code as u8;
        }
    } else {
        for (pair, out) in codes.chunks_exact(2).zip(out) {
            *out = pair[0] as u8 | (pair[1] as u8) << 4;
        }
    }
}

/// Puts one packed value at `index`.
fn put(packed: &mut [u8], index: usize, value: u8, bits: usize) {
    if bits == 8 {
        packed[index] = value;
    } else {
        packed[index / 2] |= value << (4 * (index % 2));
    }
}

#[cfg(test)]
mod tests;
