//! Tensors in a file of another form, such as the data beside an ONNX graph.

use std::path::PathBuf;

use crate::dtype::Dtype;
use crate::error::CheckpointError;
use crate::layout::TensorSpec;
use crate::mapped::MappedFile;
use crate::tensor::Tensor;

/// A mapped file whose tensors' places are known from elsewhere.
#[derive(Debug)]
pub struct TensorFile(MappedFile);

impl TensorFile {
    /// Maps a regular file.
    ///
    /// # Errors
    /// The file cannot be opened or is no regular file.
    pub fn open(path: PathBuf) -> Result<Self, CheckpointError> {
        MappedFile::open(path).map(Self)
    }

    /// The tensor whose little-endian elements begin at the byte `start`; `None` if it does not lie within the file.
    pub fn tensor<'a>(&'a self, spec: &'a TensorSpec, dtype: Dtype, start: u64) -> Option<Tensor<'a>> {
        let byte_len = spec.elements().checked_mul(dtype.size() as u64)?;
        let end = start.checked_add(byte_len)?;
        (end <= self.0.bytes().len() as u64).then_some(Tensor {
            name: &spec.name,
            dtype,
            shape: &spec.shape,
            file: &self.0,
            // Both fit: they are within the file, whose length is a `usize`.
            start: start as usize,
            byte_len: byte_len as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_lies_within_its_file_or_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let bytes: Vec<u8> = [0.5_f32, 1.5, 2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, bytes).unwrap();
        let file = TensorFile::open(path).unwrap();
        let spec = TensorSpec { name: "w".to_owned(), shape: vec![2, 1] };
        let mut values = [0.0; 2];
        file.tensor(&spec, Dtype::F32, 4).unwrap().read_f32(0, &mut values);
        assert_eq!(values, [1.5, 2.5]);
        for start in [5, 12, u64::MAX] {
            assert!(file.tensor(&spec, Dtype::F32, start).is_none(), "{start}");
        }
        assert!(TensorFile::open(directory.path().to_path_buf()).is_err());
    }
}
