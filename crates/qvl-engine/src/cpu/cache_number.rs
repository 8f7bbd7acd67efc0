//! What keys and values are kept in.

use half::f16;
use memmap2::MmapMut;
use qvl_kernels::{CacheElement, Int8Block};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::KvPrecision;

/// Type of the values of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheNumber {
    /// Single precision.
    Float32,
    /// Half precision.
    Float16,
    /// Blocks in int8.
    Int8,
}

impl CacheNumber {
    /// What was asked for. Without a choice it is single precision where the engine is to be `precise`.
    pub(super) fn of(wanted: KvPrecision, precise: bool) -> Self {
        match wanted {
            KvPrecision::F32 => Self::Float32,
            KvPrecision::F16 => Self::Float16,
            KvPrecision::Int8 => Self::Int8,
            KvPrecision::Auto if precise => Self::Float32,
            KvPrecision::Auto => Self::Float16,
        }
    }

    /// Bytes of a head of `size` values.
    pub(super) fn head_bytes(self, size: usize) -> usize {
        match self {
            Self::Float32 => f32::bytes(size),
            Self::Float16 => f16::bytes(size),
            Self::Int8 => Int8Block::bytes(size),
        }
    }
}

/// An element of a buffer.
pub(super) trait Element: CacheElement + FromBytes + IntoBytes + Immutable {
    fn bytes(size: usize) -> usize {
        Self::count(size) * size_of::<Self>()
    }

    fn of_map(map: &MmapMut) -> &[Self] {
        match <[Self]>::ref_from_bytes(map) {
            Ok(elements) => elements,
            Err(_) => unreachable!("a map begins at a page and holds whole elements"),
        }
    }

    fn of_map_mut(map: &mut MmapMut) -> &mut [Self] {
        match <[Self]>::mut_from_bytes(map) {
            Ok(elements) => elements,
            Err(_) => unreachable!("a map begins at a page and holds whole elements"),
        }
    }
}

impl Element for f32 {}
impl Element for f16 {}
impl Element for Int8Block {}
