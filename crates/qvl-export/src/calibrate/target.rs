//! Matrices that calibration fits.

use std::ops::Range;

use qvl_kernels::Rows;

use crate::ExportError;
use crate::matrices::Matrices;
use crate::quantize::Blocks;
use crate::storage::Storage;

/// Rows of a matrix, with the name under which they are stored and the form that they get.
#[derive(Clone)]
pub(super) struct Target<'a> {
    /// The checkpoint's name of the tensor.
    pub(super) name: String,
    pub(super) matrices: Matrices<'a>,
    /// Among the rows of all matrices: one expert's, or all.
    pub(super) rows: Range<usize>,
    pub(super) storage: Storage,
}

impl Target<'_> {
    /// Inputs of the product.
    pub(super) fn columns(&self) -> usize {
        self.matrices.dims()[2]
    }

    /// Some of its rows.
    ///
    /// # Errors
    /// If a weight is not finite.
    pub(super) fn read(&self, rows: Range<usize>) -> Result<Vec<f32>, ExportError> {
        let mut values = vec![0.0; rows.len() * self.columns()];
        Rows::read(self, rows, &mut values);
        match values.iter().find(|value| !value.is_finite()) {
            Some(&value) => Err(ExportError::NotFinite { name: self.name.clone(), value }),
            None => Ok(values),
        }
    }
}

impl Rows for Target<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        self.matrices.read(self.rows.start + rows.start..self.rows.start + rows.end, out);
    }
}

/// Rows whose number and length are known.
pub(super) trait Matrix: Rows {
    /// Rows and columns.
    fn dims(&self) -> [usize; 2];
}

impl Matrix for Target<'_> {
    fn dims(&self) -> [usize; 2] {
        [self.rows.len(), self.columns()]
    }
}

/// What the decoder goes on with once a matrix has been fitted.
pub(super) enum Fitted<'a> {
    /// The matrix as it was.
    Original(Target<'a>),
    /// Its stored form.
    Blocks(Blocks),
}

impl Rows for Fitted<'_> {
    fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        match self {
            Self::Original(target) => Rows::read(target, rows, out),
            Self::Blocks(blocks) => blocks.read(rows, out),
        }
    }
}

impl Matrix for Fitted<'_> {
    fn dims(&self) -> [usize; 2] {
        match self {
            Self::Original(target) => target.dims(),
            Self::Blocks(blocks) => [blocks.rows(), blocks.columns],
        }
    }
}
