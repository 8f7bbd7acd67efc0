//! Matrices that are read when they are needed.

use std::ops::Range;

/// Where the rows of a right-hand matrix [n, k] come from: they may be converted from another type as they are read.
///
/// Products read a few rows at a time, from several threads at once. Each row is read once for every stretch of rows
/// of the left-hand matrix, which is all of that matrix unless it is larger than 16 MiB.
pub trait Rows: Sync {
    /// Fills `out` [rows.len(), k] with the rows `rows`.
    fn read(&self, rows: Range<usize>, out: &mut [f32]);
}
