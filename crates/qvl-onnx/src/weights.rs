use crate::{DataType, Shape};

/// Where a stored tensor's elements come from when the file is written.
///
/// The writer asks for stretches of whole rows (of the last axis), from several threads at once and in any order, so
/// that a tensor of any size passes through a small buffer.
pub trait WeightSource: Send + Sync {
    /// Fills `out` with the little-endian elements from index `first` on, in row-major order.
    ///
    /// # Errors
    /// A sentence about a value that the element type cannot hold.
    fn fill(&self, first: usize, out: &mut [u8]) -> Result<(), String>;

    /// Called once, when the whole tensor has been written: memory behind it can be given back.
    fn finished(&self) {}
}

/// A tensor that goes to the external-data file.
pub(crate) struct Weight<'a> {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    pub(crate) dims: Vec<usize>,
    pub(crate) source: Box<dyn WeightSource + 'a>,
}

impl Weight<'_> {
    /// Number of elements of the last axis.
    pub(crate) fn row(&self) -> usize {
        self.dims.last().copied().unwrap_or(1).max(1)
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.len() as u64 * self.data_type.size() as u64
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape(self.dims.iter().map(|&size| size.into()).collect())
    }
}
