//! What the loops need of an instruction set.

use crate::lanes::Lanes;

/// Vectors of pairs of 16-bit words beside those of float32 numbers: a pair for each lane.
///
/// # Safety
/// All methods need a machine that has the instruction set; those that take a pointer read or write a vector there, which
/// need not be aligned.
pub(crate) trait Words: Lanes {
    /// An integer for each lane.
    type Ints: Copy;

    unsafe fn zero() -> Self::Ints;
    unsafe fn load_pairs(from: *const [i16; 2]) -> Self::Ints;
    /// One pair for all lanes.
    unsafe fn splat_pair(from: *const i16) -> Self::Ints;
    /// `sums` + the products of the first words and of the second words of the pairs.
    unsafe fn dot(sums: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn to_floats(ints: Self::Ints) -> Self;
    /// Writes the nearest integers of numbers below 2¹⁵.
    unsafe fn store_words(self, to: *mut i16);
}
