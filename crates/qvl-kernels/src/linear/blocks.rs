//! Matrices in blocks of few bits.

use crate::lanes::{Lanes, Task, Unit};
use crate::matmul::expect_shape;

/// The elements of a matrix [rows, columns] as `MatMulNBits` takes them: a row's elements in blocks of `size`, the last one
/// filled up, each with a scale and a zero point. An element is (code − zero point) · scale.
#[derive(Debug, Clone, Copy)]
pub struct Blocks<'a> {
    /// Bits of a code, 4 or 8.
    pub bits: usize,
    /// Elements of a block: a power of two from 16 to 256.
    pub size: usize,
    /// [rows, blocks, size · bits / 8]; of two codes in a byte the earlier one is in the low bits.
    pub codes: &'a [u8],
    /// [rows, blocks].
    pub scales: &'a [f32],
    /// [rows, ⌈blocks · bits / 8⌉], packed as the codes are; half of the code's range where there are none.
    pub zero_points: Option<&'a [u8]>,
}

impl Blocks<'_> {
    /// Blocks of a row of `columns` elements.
    pub fn per_row(&self, columns: usize) -> usize {
        columns.div_ceil(self.size)
    }

    /// The codes of block `block` of row `row` of a matrix with so many columns.
    pub(crate) fn codes_of(&self, row: usize, block: usize, columns: usize) -> &[u8] {
        let bytes = self.size * self.bits / 8;
        &self.codes[(row * self.per_row(columns) + block) * bytes..][..bytes]
    }

    /// The zero point of block `block` of row `row` of a matrix with so many columns.
    pub(crate) fn zero_point(&self, row: usize, block: usize, columns: usize) -> u8 {
        let Some(zero_points) = self.zero_points else { return 1 << (self.bits - 1) };
        let row = &zero_points[row * (self.per_row(columns) * self.bits).div_ceil(8)..];
        code(row, block, self.bits)
    }

    /// Fills `out`, which has a number for each column, with row `row`.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        self.read_part(row, out.len(), 0, out);
    }

    /// Fills `out` with what row `row` of a matrix with `columns` columns has from column `first` on, where a block begins.
    pub(crate) fn read_part(&self, row: usize, columns: usize, first: usize, out: &mut [f32]) {
        for (block, out) in (first / self.size..).zip(out.chunks_mut(self.size)) {
            let codes = self.codes_of(row, block, columns);
            let scale = self.scales[row * self.per_row(columns) + block];
            let zero_point = f32::from(self.zero_point(row, block, columns));
            Unit::best().run(Unpack { codes, bits: self.bits, zero_point, scale, out });
        }
    }

    #[track_caller]
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        assert!(matches!(self.bits, 4 | 8), "codes have 4 or 8 bits, not {}", self.bits);
        let fits = self.size.is_power_of_two() && (16..=256).contains(&self.size);
        assert!(fits, "blocks have a power of two from 16 to 256 elements, not {}", self.size);
        let blocks = self.per_row(columns);
        expect_shape("codes", self.codes.len(), rows, blocks * self.size * self.bits / 8);
        expect_shape("scales", self.scales.len(), rows, blocks);
        if let Some(zero_points) = self.zero_points {
            expect_shape("zero points", zero_points.len(), rows, (blocks * self.bits).div_ceil(8));
        }
    }
}

/// Fills `out` with the first numbers of a block.
struct Unpack<'a> {
    codes: &'a [u8],
    bits: usize,
    zero_point: f32,
    scale: f32,
    out: &'a mut [f32],
}

impl Task for Unpack<'_> {
    type Output = ();

    /// The compiler vectorises the loops.
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let number = |code: u8| (f32::from(code) - self.zero_point) * self.scale;
        if self.bits == 8 {
            self.out.iter_mut().zip(self.codes).for_each(|(out, code)| *out = number(*code));
            return;
        }
        let (pairs, rest) = self.out.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(self.codes) {
            *pair = [number(byte & 15), number(byte >> 4)];
        }
        if let [last] = rest {
            *last = number(self.codes[pairs.len()] & 15);
        }
    }
}

/// Code number `index` of packed codes.
pub(crate) fn code(packed: &[u8], index: usize, bits: usize) -> u8 {
    match bits {
        8 => packed[index],
        _ => packed[index / 2] >> (4 * (index % 2)) & 15,
    }
}
