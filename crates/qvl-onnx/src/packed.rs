//! Tensors in a file of another form than ONNX's.

use std::path::Path;

use crate::weights::Weight;
use crate::write::{Places, write_data};
use crate::{OnnxError, StoredTensor, WeightSource};

/// A file of tensors that follow each other without gaps, after a header that the caller knows.
///
/// It is written as a graph's weights are: by all cores, through buffers of bounded size.
#[derive(Default)]
pub struct PackedFile<'a> {
    weights: Vec<Weight<'a>>,
}

impl<'a> PackedFile<'a> {
    /// A file without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor, which `source` fills in stretches of its `rows` rows.
    ///
    /// # Errors
    /// If the tensor does not divide into that many rows.
    pub fn push(&mut self, tensor: StoredTensor, rows: usize, source: impl WeightSource + 'a) -> Result<(), OnnxError> {
        self.weights.push(Weight::new(vec![tensor], rows, source)?);
        Ok(())
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.weights.iter().map(Weight::bytes).sum()
    }

    /// Writes `header` and the tensors; `advance` is told of bytes written and says whether to go on.
    ///
    /// # Errors
    /// If the file cannot be written, a value does not fit the type that it is stored in, or `advance` says to stop.
    pub fn write(&self, path: &Path, header: &[u8], advance: &(dyn Fn(u64) -> bool + Sync)) -> Result<(), OnnxError> {
        let places = Places::new(&self.weights, header.len() as u64, 1);
        write_data(path, &self.weights, &places, header, advance)
    }
}
