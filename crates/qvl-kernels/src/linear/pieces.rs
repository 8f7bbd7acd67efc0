//! Pieces of results, for threads to take.

/// A piece of the result of a product.
pub(crate) struct Piece<'a> {
    /// Number of the product.
    pub(super) product: usize,
    /// The first row.
    pub(super) row: usize,
    /// The first column.
    pub(super) column: usize,
    /// The piece's part of each row; there is one at least.
    pub(super) rows: Vec<&'a mut [f32]>,
}

/// Cuts `out` [rows, outputs] into pieces of up to so many rows and columns, those of the same rows after each other.
pub(super) fn cut<'a>(
    out: &'a mut [f32],
    product: usize,
    outputs: usize,
    (rows, columns): (usize, usize),
    pieces: &mut Vec<Piece<'a>>,
) {
    if outputs == 0 {
        return;
    }
    for (i, stretch) in out.chunks_mut(rows * outputs).enumerate() {
        let (first, row) = (pieces.len(), i * rows);
        let starts = (0..outputs).step_by(columns);
        let capacity = stretch.len() / outputs;
        pieces.extend(starts.map(|column| Piece { product, row, column, rows: Vec::with_capacity(capacity) }));
        for row in stretch.chunks_mut(outputs) {
            let parts = row.chunks_mut(columns);
            pieces[first..].iter_mut().zip(parts).for_each(|(piece, part)| piece.rows.push(part));
        }
    }
}
