//! Matrices of a checkpoint, row by row in the order that a graph wants.

use std::ops::Range;

use qvl_checkpoint::Tensor;

use crate::calibrate::{Fold, apply};

/// Rows and columns of the tiles in which matrices are transposed: 64 · 256 floats stay in the second-level cache.
const TILE: (usize, usize) = (64, 256);

/// One matrix, or several of one size, each [rows, columns] in the graph.
#[derive(Clone)]
pub(crate) struct Matrices<'a> {
    tensor: Tensor<'a>,
    count: usize,
    rows: usize,
    columns: usize,
    /// The checkpoint holds each matrix as [columns, rows].
    is_transposed: bool,
    order: RowOrder,
    fold: Fold,
}

/// Where the rows of a matrix lie in the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowOrder {
    /// As in the matrix.
    Same,
    /// The even rows first, then the odd ones.
    EvenThenOdd,
    /// The rows of the first half and those of the second in turn.
    HalvesInTurn,
}

impl RowOrder {
    /// The tensor's row that is row `row` of a matrix of `rows` rows.
    fn source(self, row: usize, rows: usize) -> usize {
        let half = rows / 2;
        match self {
            Self::Same => row,
            Self::EvenThenOdd => row / 2 + (row % 2) * half,
            Self::HalvesInTurn => 2 * (row % half) + row / half,
        }
    }
}

impl<'a> Matrices<'a> {
    /// Matrices [count, rows, columns] in the checkpoint's own order.
    pub(crate) fn plain(tensor: Tensor<'a>, dims: [usize; 3]) -> Self {
        let [count, rows, columns] = dims;
        Self { tensor, count, rows, columns, is_transposed: false, order: RowOrder::Same, fold: Fold::default() }
    }

    /// Matrices that are [count, rows, columns] in the graph and [count, columns, rows] in the checkpoint.
    pub(crate) fn transposed(tensor: Tensor<'a>, dims: [usize; 3]) -> Self {
        Self { is_transposed: true, ..Self::plain(tensor, dims) }
    }

    /// Takes the even rows from the first half of the checkpoint's rows, the odd ones from the second.
    pub(crate) fn interleaved(self) -> Self {
        Self { order: RowOrder::EvenThenOdd, ..self }
    }

    /// Matrices [count, rows, columns] whose first half of rows are the tensor's even rows, the second half the odd ones.
    pub(crate) fn separated(tensor: Tensor<'a>, dims: [usize; 3]) -> Self {
        Self { order: RowOrder::HalvesInTurn, ..Self::plain(tensor, dims) }
    }

    /// Multiplies by the factors of `fold`.
    pub(crate) fn folded(self, fold: Fold) -> Self {
        Self { fold, ..self }
    }

    /// Number of matrices, rows of each, columns of each.
    pub(crate) fn dims(&self) -> [usize; 3] {
        [self.count, self.rows, self.columns]
    }

    /// Gives back the memory behind the map.
    pub(crate) fn release(&self) {
        self.tensor.release(0, self.tensor.len());
    }

    /// Reads `rows`, counted through all matrices, into `out`.
    pub(crate) fn read(&self, rows: Range<usize>, out: &mut [f32]) {
        let mut rest = &mut *out;
        let mut row = rows.start;
        while row < rows.end {
            // A stretch may end one matrix and begin the next.
            let (matrix, start) = (row / self.rows, row % self.rows);
            let count = (rows.end - row).min(self.rows - start);
            let (now, later) = rest.split_at_mut(count * self.columns);
            if self.is_transposed {
                self.read_transposed(matrix, start, now);
            } else {
                self.read_rows(matrix, start, now);
            }
            row += count;
            rest = later;
        }
        apply(&self.fold, self.dims(), rows.start, out);
    }

    /// Copies whole rows.
    fn read_rows(&self, matrix: usize, start: usize, out: &mut [f32]) {
        for (i, out) in out.chunks_exact_mut(self.columns).enumerate() {
            let row = matrix * self.rows + self.order.source(start + i, self.rows);
            self.tensor.read_f32(row * self.columns, out);
        }
    }

    /// Transposes tile by tile.
    fn read_transposed(&self, matrix: usize, start: usize, out: &mut [f32]) {
        let end = start + out.len() / self.columns;
        let mut tile = vec![0.0; TILE.0 * (TILE.1 + 2)];
        for row in (start..end).step_by(TILE.1) {
            let rows = row..end.min(row + TILE.1);
            for column in (0..self.columns).step_by(TILE.0) {
                let columns = column..self.columns.min(column + TILE.0);
                let (stride, skipped) = self.read_tile(matrix, &rows, &columns, &mut tile);
                for r in rows.clone() {
                    let line = &mut out[(r - start) * self.columns..][columns.clone()];
                    for (c, value) in line.iter_mut().enumerate() {
                        *value = tile[c * stride + r - rows.start + skipped];
                    }
                }
            }
        }
    }

    /// Reads the tile's columns, each a line of the checkpoint; gives the lines' length and how many values of each
    /// line lie before the tile's first row.
    fn read_tile(
        &self,
        matrix: usize,
        rows: &Range<usize>,
        columns: &Range<usize>,
        tile: &mut [f32],
    ) -> (usize, usize) {
        let base = matrix * self.rows * self.columns;
        if self.order == RowOrder::Same {
            for (line, column) in tile.chunks_exact_mut(rows.len()).zip(columns.clone()) {
                self.tensor.read_f32(base + column * self.rows + rows.start, line);
            }
            return (rows.len(), 0);
        }
        // Whole pairs, although the tile may begin or end within one.
        let pairs = rows.start / 2..rows.end.div_ceil(2);
        let mut halves = [vec![0.0; pairs.len()], vec![0.0; pairs.len()]];
        for (line, column) in tile.chunks_exact_mut(2 * pairs.len()).zip(columns.clone()) {
            for (half, values) in halves.iter_mut().enumerate() {
                self.tensor.read_f32(base + column * self.rows + half * self.rows / 2 + pairs.start, values);
            }
            for (pair, (even, odd)) in line.chunks_exact_mut(2).zip(halves[0].iter().zip(&halves[1])) {
                pair.copy_from_slice(&[*even, *odd]);
            }
        }
        (2 * pairs.len(), rows.start % 2)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use qvl_checkpoint::Checkpoint;

    use super::*;

    fn open(name: &str) -> Checkpoint {
        Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(name)).unwrap()
    }

    /// Reads everything in stretches of `rows` rows.
    fn stretches(matrices: &Matrices<'_>, rows: usize) -> Vec<f32> {
        let [count, all_rows, columns] = matrices.dims();
        let mut values = vec![0.0; count * all_rows * columns];
        for (i, stretch) in values.chunks_mut(rows * columns).enumerate() {
            matrices.read(i * rows..i * rows + stretch.len() / columns, stretch);
        }
        values
    }

    #[test]
    fn experts_are_transposed_and_interleaved_in_any_stretches() {
        let checkpoint = open("moe");
        let tensor = checkpoint.tensor("model.language_model.layers.0.mlp.experts.gate_up_proj").unwrap();
        let [experts, columns, rows] = *tensor.shape() else { panic!("{:?}", tensor.shape()) };
        let mut original = vec![0.0; tensor.len()];
        tensor.read_f32(0, &mut original);
        let matrices = Matrices::transposed(tensor, [experts, rows, columns]).interleaved();
        for stretch in [1, 3, 7, rows, experts * rows] {
            let values = stretches(&matrices, stretch);
            for e in 0..experts {
                for r in 0..rows {
                    let from = r / 2 + (r % 2) * (rows / 2);
                    for c in [0, 1, columns - 1] {
                        let expected = original[(e * columns + c) * rows + from];
                        assert_eq!(values[(e * rows + r) * columns + c], expected, "expert {e}, row {r}, column {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_expert_layouts_give_the_same_rows() {
        let read_all = |layout: &str, is_transposed: bool| {
            let checkpoint = open(layout);
            let moe = checkpoint.config().text.moe.clone().unwrap();
            let (hidden, inner) = (checkpoint.config().text.hidden_size, moe.moe_intermediate_size);
            [("gate_up_proj", 2 * inner, hidden), ("down_proj", hidden, inner)].map(|(part, rows, columns)| {
                let tensor = checkpoint.tensor(&format!("model.language_model.layers.1.mlp.experts.{part}")).unwrap();
                let dims = [moe.num_experts, rows, columns];
                let order = if is_transposed { Matrices::transposed } else { Matrices::plain };
                let matrices = order(tensor, dims);
                stretches(&if part == "gate_up_proj" { matrices.interleaved() } else { matrices }, 5)
            })
        };
        assert_eq!(read_all("moe", true), read_all("moe-resaved5x", false));
    }

    proptest! {
        #[test]
        fn separating_undoes_interleaving(half in 1..2000_usize, row in any::<prop::sample::Index>()) {
            let rows = 2 * half;
            let row = row.index(rows);
            let interleaved = RowOrder::EvenThenOdd.source(row, rows);
            prop_assert_eq!(RowOrder::HalvesInTurn.source(interleaved, rows), row);
        }
    }
}
