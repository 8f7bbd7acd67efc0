//! One tensor of an open checkpoint.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::dtype::Dtype;
use crate::mapped::MappedFile;

/// Elements that are converted at a time where a buffer is needed.
const BLOCK: usize = 1024;

/// A view of a tensor's bytes in the mapped file.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    pub(crate) file: &'a MappedFile,
    pub(crate) start: usize,
    pub(crate) byte_len: usize,
}

impl<'a> Tensor<'a> {
    /// The Hub's name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Number format in the file.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Shape, the last axis contiguous.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.byte_len / self.dtype.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.byte_len == 0
    }

    /// The bytes in the file, little-endian, not necessarily aligned.
    pub fn bytes(&self) -> &'a [u8] {
        &self.file.bytes()[self.start..self.start + self.byte_len]
    }

    /// Converts the elements from `start` on to fill `out`.
    ///
    /// # Panics
    /// When the tensor has fewer than `start + out.len()` elements.
    pub fn read_f32(&self, start: usize, out: &mut [f32]) {
        let size = self.dtype.size();
        let bytes = &self.bytes()[start * size..(start + out.len()) * size];
        match self.dtype {
            Dtype::F32 => convert(bytes, out, f32::from_le_bytes),
            Dtype::BF16 => convert(bytes, out, |pair| f32::from_bits(u32::from(u16::from_le_bytes(pair)) << 16)),
            Dtype::F16 => convert_f16(bytes, out),
        }
    }

    /// Tells the system that the elements will not be read soon, so that resident memory stays small while a large file
    /// is streamed. Does nothing where the system has no such call.
    pub fn release(&self, start: usize, len: usize) {
        let size = self.dtype.size();
        let from = start.saturating_mul(size).min(self.byte_len);
        let len = len.saturating_mul(size).min(self.byte_len - from);
        self.file.release(self.start + from, len);
    }
}

fn convert<const N: usize>(bytes: &[u8], out: &mut [f32], to_f32: impl Fn([u8; N]) -> f32) {
    let (elements, _) = bytes.as_chunks::<N>();
    for (value, element) in out.iter_mut().zip(elements) {
        *value = to_f32(*element);
    }
}

/// Through a small aligned block, which the bulk conversion (hardware instructions where there are some) needs.
fn convert_f16(bytes: &[u8], out: &mut [f32]) {
    let mut block = [f16::ZERO; BLOCK];
    for (values, bytes) in out.chunks_mut(BLOCK).zip(bytes.chunks(2 * BLOCK)) {
        let block = &mut block[..values.len()];
        let (elements, _) = bytes.as_chunks::<2>();
        for (half, element) in block.iter_mut().zip(elements) {
            *half = f16::from_le_bytes(*element);
        }
        block.convert_to_f32_slice(values);
    }
}
