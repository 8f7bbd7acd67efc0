//! Numbers that lie in a mapped file.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use zerocopy::{FromBytes, Immutable};

use super::data_file::DataFile;

/// A tensor's numbers, in the order and in the place in which the file has them.
pub(super) struct Stored<T> {
    file: Arc<DataFile>,
    bytes: Range<usize>,
    numbers: PhantomData<fn() -> T>,
}

impl<T: FromBytes + Immutable> Stored<T> {
    /// The numbers in the bytes `bytes` of `file`; `None` if the file ends before, or they do not begin where such
    /// numbers can be read.
    pub(super) fn new(file: Arc<DataFile>, bytes: Range<usize>) -> Option<Self> {
        <[T]>::ref_from_bytes(file.bytes().get(bytes.clone())?).ok()?;
        Some(Self { file, bytes, numbers: PhantomData })
    }
}

impl<T: FromBytes + Immutable> Deref for Stored<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match <[T]>::ref_from_bytes(&self.file.bytes()[self.bytes.clone()]) {
            Ok(numbers) => numbers,
            Err(_) => unreachable!("it was read when it was made, and neither the map nor the range changes"),
        }
    }
}

impl<T> fmt::Debug for Stored<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({:?})", self.bytes)
    }
}

/// Floating-point numbers of either type that weights are stored in.
#[derive(Debug)]
pub(super) enum Floats {
    /// Single precision.
    Float32(Stored<f32>),
    /// Half precision.
    Float16(Stored<f16>),
}

impl Floats {
    /// Fills `out` with the numbers from `start` on.
    pub(super) fn read(&self, start: usize, out: &mut [f32]) {
        let range = start..start + out.len();
        match self {
            Self::Float32(numbers) => out.copy_from_slice(&numbers[range]),
            Self::Float16(numbers) => numbers[range].convert_to_f32_slice(out),
        }
    }
}
