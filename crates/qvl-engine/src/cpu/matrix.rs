//! Matrices that lie in a mapped file.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use qvl_kernels::{Arithmetic, Blocks, Elements, Linear, Matrix, Rows, linear, matmul_nt, matmul_rows};

use super::stored::{Floats, Stored};

/// A matrix of a linear layer.
#[derive(Debug)]
pub(super) struct StoredMatrix {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) elements: StoredElements,
}

/// Elements of a matrix of a linear layer.
#[derive(Debug)]
pub(super) enum StoredElements {
    /// [inputs, outputs].
    Floats(Floats),
    /// [outputs, inputs].
    Blocks(StoredBlocks),
}

impl StoredMatrix {
    /// The matrix as kernels take it.
    pub(super) fn matrix(&self) -> Matrix<'_> {
        let elements = match &self.elements {
            StoredElements::Floats(Floats::Float32(numbers)) => Elements::Float32(numbers),
            StoredElements::Floats(Floats::Float16(numbers)) => Elements::Float16(numbers),
            StoredElements::Blocks(blocks) => Elements::Blocks(blocks.rows(0, self.outputs, self.inputs)),
        };
        Matrix { inputs: self.inputs, outputs: self.outputs, elements }
    }

    /// The product that fills `out` [m, outputs].
    pub(super) fn product<'a>(&'a self, out: &'a mut [f32]) -> Linear<'a> {
        Linear { matrix: self.matrix(), bias: None, out }
    }
}

/// Rows in blocks of few bits.
#[derive(Debug)]
pub(super) struct StoredBlocks {
    pub(super) bits: usize,
    pub(super) size: usize,
    pub(super) codes: Stored<u8>,
    pub(super) scales: Stored<f32>,
    pub(super) zero_points: Option<Stored<u8>>,
}

impl StoredBlocks {
    /// `count` rows of `columns` elements, from row `first` on.
    fn rows(&self, first: usize, count: usize, columns: usize) -> Blocks<'_> {
        let blocks = columns.div_ceil(self.size);
        let code_bytes = blocks * self.size * self.bits / 8;
        let zero_point_bytes = (blocks * self.bits).div_ceil(8);
        Blocks {
            bits: self.bits,
            size: self.size,
            codes: &self.codes[first * code_bytes..][..count * code_bytes],
            scales: &self.scales[first * blocks..][..count * blocks],
            zero_points: self
                .zero_points
                .as_ref()
                .map(|points| &points[first * zero_point_bytes..][..count * zero_point_bytes]),
        }
    }
}

/// A table of which single rows are read, [rows, columns].
#[derive(Debug)]
pub(super) struct StoredTable {
    pub(super) columns: usize,
    pub(super) elements: StoredRows,
}

/// Rows one after the other.
#[derive(Debug)]
pub(super) enum StoredRows {
    /// Numbers.
    Floats(Floats),
    /// Blocks.
    Blocks(StoredBlocks),
}

impl StoredTable {
    /// Fills `out` [columns] with row `row`.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) {
        match &self.elements {
            StoredRows::Floats(floats) => floats.read(row * self.columns, out),
            StoredRows::Blocks(blocks) => blocks.rows(row, 1, self.columns).read_row(0, out),
        }
    }
}

/// Matrices of one size, one for each expert: [experts, outputs, inputs].
#[derive(Debug)]
pub(super) struct StoredExperts {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) elements: StoredRows,
}

impl StoredExperts {
    /// Fills `out` [m, outputs] with the product of `x` [m, inputs] and the matrix of expert `expert`.
    pub(super) fn multiply(&self, expert: usize, x: &[f32], m: usize, arithmetic: Arithmetic, out: &mut [f32]) {
        let (outputs, inputs) = (self.outputs, self.inputs);
        let elements = expert * outputs * inputs..(expert + 1) * outputs * inputs;
        match &self.elements {
            StoredRows::Floats(Floats::Float32(numbers)) => matmul_nt(x, &numbers[elements], out, m, outputs, inputs),
            StoredRows::Floats(Floats::Float16(numbers)) => {
                matmul_rows(x, m, inputs, &HalfRows { numbers: &numbers[elements], inputs }, outputs, out);
            }
            StoredRows::Blocks(blocks) => {
                let elements = Elements::Blocks(blocks.rows(expert * outputs, outputs, inputs));
                let product = Linear { matrix: Matrix { inputs, outputs, elements }, bias: None, out };
                linear(x, m, &mut [product], arithmetic);
            }
        }
    }
}

/// Rows in half precision.
struct HalfRows<'a> {
    numbers: &'a [f16],
    inputs: usize,
}

impl Rows for HalfRows<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        self.numbers[rows.start * self.inputs..rows.end * self.inputs].convert_to_f32_slice(out);
    }
}
