//! Matrices that lie inside larger ones.

/// A matrix of `rows` × `columns` inside `data`, row-major: element (i, j) is `data[i * stride + j]`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The numbers, from the first element on; at least `(rows - 1) * stride + columns` of them.
    pub data: &'a [f32],
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// How far the beginnings of two rows are apart; at least `columns`.
    pub stride: usize,
}

impl<'a> View<'a> {
    /// All of `data` [rows, columns].
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, stride: columns }
    }
}

/// A [`View`] that can be written to.
#[derive(Debug)]
pub struct ViewMut<'a> {
    /// The numbers, from the first element on; at least `(rows - 1) * stride + columns` of them.
    pub data: &'a mut [f32],
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// How far the beginnings of two rows are apart; at least `columns`.
    pub stride: usize,
}

impl<'a> ViewMut<'a> {
    /// All of `data` [rows, columns].
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, stride: columns }
    }
}
