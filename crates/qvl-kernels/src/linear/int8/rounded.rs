//! Rows in int8.

use super::kernel::Int8Kernel;
use super::panel::{SMALLEST, STRETCH};
use crate::linear::Input;
use crate::pool::for_each;
use crate::rounding::{code, inverse, largest};

/// The largest magnitude of a rounded input.
const LARGEST: f32 = 127.0;

/// Numbers that are worth sharing out.
const LARGE: usize = 1 << 16;

/// What rows are rounded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// Elements of a block.
    pub(crate) size: usize,
    /// Bits of the codes that the row is multiplied with.
    pub(crate) bits: usize,
    /// What codes have as zero point where they are symmetric.
    pub(crate) zero_point: i32,
}

/// What is known of a block of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Block {
    /// An input is its code times this. It is NaN or infinite if an input is, and so is what it is multiplied with.
    pub(crate) scale: f32,
    /// The sum of the codes.
    pub(crate) sum: f32,
    /// What a symmetric matrix's zero point adds to a product: −zero point · sum.
    pub(crate) offset: i32,
}

/// Rows in int8, in blocks, in the order in which tiles read them.
///
/// A row is cut into stretches, and the rows into strips as high as a tile, the last one less. For each stretch, strip
/// follows strip, and a strip has four codes of each of its rows after another: [stretches, strips, elements / 4, height, 4].
///
/// Codes of four bits lie in pairs of an even and an odd element in a byte. So that the even ones can be multiplied at
/// once, rows for them have the even elements of each eight before the odd ones.
pub(crate) struct Rounded {
    pub(super) format: Format,
    pub(super) rows: usize,
    /// Blocks of a row.
    pub(super) per_row: usize,
    /// In two's complement; the last block of a row is filled up with zeros.
    pub(super) codes: Vec<u8>,
    /// [stretches, strips, blocks, height].
    pub(super) blocks: Vec<Block>,
}

/// Rows of a tile, and where their codes go.
struct Strip<'a> {
    input: Input<'a>,
    parts: Vec<Part<'a>>,
}

impl Strip<'_> {
    fn round(self, kernel: &Int8Kernel) {
        let x = self.input.rows();
        self.parts.into_iter().for_each(|part| kernel.round(x, part));
    }
}

/// Where the codes of a strip's part of a stretch go.
pub(crate) struct Part<'a> {
    format: Format,
    /// Elements of a row.
    inputs: usize,
    /// The first element of the stretch.
    start: usize,
    codes: &'a mut [u8],
    blocks: &'a mut [Block],
}

impl Rounded {
    /// Rounds rows of `inputs` numbers, of which there is one at least, to each of `formats`.
    pub(super) fn in_formats(kernel: &Int8Kernel, input: Input<'_>, inputs: usize, formats: Vec<Format>) -> Vec<Self> {
        let (rows, is_large) = (input.len() / inputs, input.len() >= LARGE);
        let mut rounded: Vec<Self> = formats.into_iter().map(|format| Self::zeros(format, rows, inputs)).collect();
        let strips = input.strips(kernel.height * inputs).into_iter();
        let mut strips: Vec<Strip<'_>> = strips.map(|input| Strip { input, parts: Vec::new() }).collect();
        rounded.iter_mut().for_each(|rounded| rounded.share_out(kernel.height, inputs, &mut strips));
        if is_large {
            for_each(strips.into_iter(), |strip| strip.round(kernel));
        } else {
            strips.into_iter().for_each(|strip| strip.round(kernel));
        }
        rounded
    }

    fn zeros(format: Format, rows: usize, inputs: usize) -> Self {
        let per_row = inputs.div_ceil(format.size);
        let codes = vec![0; rows * per_row * format.size];
        Self { format, rows, per_row, codes, blocks: vec![Block::default(); rows * per_row] }
    }

    /// Gives each of `strips` of `height` rows its parts.
    fn share_out<'a>(&'a mut self, height: usize, inputs: usize, strips: &mut [Strip<'a>]) {
        let (format, rows) = (self.format, self.rows);
        let stretches = self.codes.chunks_mut(rows * STRETCH).zip(self.blocks.chunks_mut(rows * STRETCH / format.size));
        for (i, (codes, blocks)) in stretches.enumerate() {
            let (length, count) = (codes.len() / rows, blocks.len() / rows);
            let parts = codes.chunks_mut(height * length).zip(blocks.chunks_mut(height * count));
            for (strip, (codes, blocks)) in strips.iter_mut().zip(parts) {
                strip.parts.push(Part { format, inputs, start: i * STRETCH, codes, blocks });
            }
        }
    }

    /// The codes and blocks of the strip that begins with row `row`, of the stretch that begins with block `block` and has
    /// `count`.
    pub(super) fn strip(&self, row: usize, block: usize, count: usize) -> (&[u8], &[Block]) {
        let first = block * self.rows + row * count;
        (&self.codes[first * self.format.size..], &self.blocks[first..])
    }
}

/// Rounds a part of the strip `x`.
#[inline(always)]
pub(super) fn round(x: &[f32], part: Part<'_>) {
    let Part { format, inputs, start, codes, blocks } = part;
    let height = x.len() / inputs;
    let (mut row_codes, mut row_blocks) = ([0; STRETCH], [Block::default(); STRETCH / SMALLEST]);
    let (row_codes, row_blocks) = (&mut row_codes[..codes.len() / height], &mut row_blocks[..blocks.len() / height]);
    for (row, x) in x.chunks(inputs).enumerate() {
        let x = &x[start..inputs.min(start + STRETCH)];
        round_row(x, format, row_codes, row_blocks);
        let fours = codes.as_chunks_mut::<4>().0.iter_mut().skip(row).step_by(height);
        fours.zip(row_codes.as_chunks::<4>().0).for_each(|(out, four)| *out = *four);
        blocks.iter_mut().skip(row).step_by(height).zip(&*row_blocks).for_each(|(out, block)| *out = *block);
    }
}

/// Rounds a part of a row; its last block is filled up with zeros.
#[inline(always)]
fn round_row(x: &[f32], format: Format, codes: &mut [u8], blocks: &mut [Block]) {
    let each = x.chunks(format.size).zip(codes.chunks_exact_mut(format.size)).zip(blocks);
    for ((x, codes), block) in each {
        let largest = x.iter().fold(0.0, |magnitude, x| largest(magnitude, *x));
        let inverse = inverse(LARGEST, largest);
        let (filled, rest) = codes.split_at_mut(x.len());
        filled.iter_mut().zip(x).for_each(|(to, x)| *to = code(*x, inverse) as u8);
        rest.fill(0);
        let sum: i32 = filled.iter().map(|code| i32::from(*code as i8)).sum();
        *block = Block { scale: largest / LARGEST, sum: sum as f32, offset: -format.zero_point * sum };
        if format.bits == 4 {
            codes.as_chunks_mut::<8>().0.iter_mut().for_each(evens_first);
        }
    }
}

/// Brings the even ones of eight bytes before the odd ones: exchanges bytes 1 and 2, 5 and 6, then pairs 1 and 2.
#[inline(always)]
fn evens_first(eight: &mut [u8; 8]) {
    let mut x = u64::from_le_bytes(*eight);
    let bytes = (x ^ x >> 8) & 0x0000_ff00_0000_ff00;
    x ^= bytes ^ bytes << 8;
    let pairs = (x ^ x >> 16) & 0x0000_0000_ffff_0000;
    x ^= pairs ^ pairs << 16;
    *eight = x.to_le_bytes();
}
