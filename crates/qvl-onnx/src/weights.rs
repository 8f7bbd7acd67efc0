use std::ops::Range;

use crate::{DataType, OnnxError};

/// Where stored tensors' elements come from when the file is written.
///
/// The writer asks for stretches of rows, from several threads at once and in any order, so that a tensor of any size
/// passes through a small buffer. One source may fill several tensors at once, row by row, such as quantised values
/// and their scales.
pub trait WeightSource: Send + Sync {
    /// Fills each tensor's `outputs` with the little-endian elements of the rows `rows`.
    ///
    /// # Errors
    /// A sentence about a value that the element type cannot hold.
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String>;

    /// Called once, when all rows have been written: memory behind them can be given back.
    fn finished(&self) {}
}

/// A tensor that goes to the external-data file.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    /// Its name.
    pub name: String,
    /// Element type.
    pub data_type: DataType,
    /// Sizes of its axes.
    pub dims: Vec<usize>,
}

impl StoredTensor {
    /// Number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.dims.iter().product::<usize>() as u64 * self.data_type.size() as u64
    }
}

/// Tensors that one source fills; each has the same number of rows.
pub(crate) struct Weight<'a> {
    pub(crate) tensors: Vec<StoredTensor>,
    pub(crate) rows: usize,
    pub(crate) source: Box<dyn WeightSource + 'a>,
}

impl<'a> Weight<'a> {
    /// Tensors of `rows` rows each.
    ///
    /// # Errors
    /// If a tensor does not divide into that many rows.
    pub(crate) fn new(
        tensors: Vec<StoredTensor>,
        rows: usize,
        source: impl WeightSource + 'a,
    ) -> Result<Self, OnnxError> {
        for tensor in &tensors {
            if tensor.bytes() % rows.max(1) as u64 != 0 {
                let reason = format!("{:?} does not divide into {rows} rows", tensor.dims);
                return Err(OnnxError::Weight { tensor: tensor.name.clone(), reason });
            }
        }
        Ok(Self { tensors, rows, source: Box::new(source) })
    }

    /// Bytes of all tensors together.
    pub(crate) fn bytes(&self) -> u64 {
        self.tensors.iter().map(StoredTensor::bytes).sum()
    }

    /// Bytes of a row of each tensor.
    pub(crate) fn row_bytes(&self) -> impl Iterator<Item = usize> {
        self.tensors.iter().map(|tensor| (tensor.bytes() / self.rows.max(1) as u64) as usize)
    }
}
