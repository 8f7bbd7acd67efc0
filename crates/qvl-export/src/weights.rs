//! A checkpoint's tensors in the order and type in which a graph wants them.

use half::f16;
use half::slice::HalfFloatSliceExt;
use qvl_checkpoint::{Checkpoint, Tensor};
use qvl_onnx::{DataType, GraphBuilder, Value, WeightSource};

use crate::ExportError;

/// Rows and columns of the tiles in which matrices are transposed: 64 · 256 floats stay in the second-level cache.
const TILE: (usize, usize) = (64, 256);

/// The checkpoint's tensors as weights of a graph whose matrices have the type `float`.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) float: DataType,
}

impl<'a> Weights<'a> {
    /// A tensor as it is, in float32: norms and position embeddings, which are computed with in float32.
    pub(crate) fn float32(&self, g: &mut GraphBuilder<'a>, name: &str) -> Result<Value, ExportError> {
        self.stored(g, name, DataType::Float32)
    }

    /// A tensor as it is, in the graph's own type.
    pub(crate) fn plain(&self, g: &mut GraphBuilder<'a>, name: &str) -> Result<Value, ExportError> {
        self.stored(g, name, self.float)
    }

    /// `x` [.., n] times the transpose of the matrix `name`.weight [m, n], which is stored as [n, m].
    pub(crate) fn linear(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        let weight = self.transposed(g, &format!("{name}.weight"))?;
        Ok(g.matmul(label, x, &weight)?)
    }

    /// As [`Weights::linear`], plus the vector `name`.bias.
    pub(crate) fn linear_bias(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        let product = self.linear(g, &format!("{label}.product"), x, name)?;
        let bias = self.plain(g, &format!("{name}.bias"))?;
        Ok(g.add(label, &product, &bias)?)
    }

    /// The matrix of shape [m, ..] as [product of the other axes, m].
    pub(crate) fn transposed(&self, g: &mut GraphBuilder<'a>, name: &str) -> Result<Value, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let columns = tensor.shape().first().copied().unwrap_or(1);
        let rows = tensor.len() / columns.max(1);
        let source = Matrices { tensor, to: self.float, rows, columns, transposed: true, interleaved: false };
        Ok(g.weight(name, self.float, &[rows, columns], source)?)
    }

    /// A tensor of expert matrices as [experts, rows, columns].
    ///
    /// `transposed` if the checkpoint has [experts, columns, rows]; `interleaved` if its rows are two halves that
    /// shall alternate.
    pub(crate) fn experts(
        &self,
        g: &mut GraphBuilder<'a>,
        name: &str,
        dims: [usize; 3],
        transposed: bool,
        interleaved: bool,
    ) -> Result<Value, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let source = Matrices { tensor, to: self.float, rows: dims[1], columns: dims[2], transposed, interleaved };
        Ok(g.weight(name, self.float, &dims, source)?)
    }

    fn stored(&self, g: &mut GraphBuilder<'a>, name: &str, to: DataType) -> Result<Value, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let dims = tensor.shape().to_vec();
        Ok(g.weight(name, to, &dims, Converted { tensor, to })?)
    }
}

/// A tensor in its own order.
struct Converted<'a> {
    tensor: Tensor<'a>,
    to: DataType,
}

impl WeightSource for Converted<'_> {
    fn fill(&self, first: usize, out: &mut [u8]) -> Result<(), String> {
        let mut values = vec![0.0; out.len() / self.to.size()];
        self.tensor.read_f32(first, &mut values);
        encode(&values, self.to, out)
    }

    fn finished(&self) {
        self.tensor.release(0, self.tensor.len());
    }
}

/// One matrix, or several of one size, each [rows, columns] in the graph.
struct Matrices<'a> {
    tensor: Tensor<'a>,
    to: DataType,
    rows: usize,
    columns: usize,
    /// The checkpoint holds each matrix as [columns, rows].
    transposed: bool,
    /// The checkpoint holds the even rows first, then the odd ones.
    interleaved: bool,
}

impl WeightSource for Matrices<'_> {
    fn fill(&self, first: usize, out: &mut [u8]) -> Result<(), String> {
        let row_bytes = self.columns * self.to.size();
        let mut row = first / self.columns;
        let mut rest = out;
        while !rest.is_empty() {
            // A stretch may end one matrix and begin the next.
            let (matrix, start) = (row / self.rows, row % self.rows);
            let count = (rest.len() / row_bytes).min(self.rows - start);
            let (now, later) = rest.split_at_mut(count * row_bytes);
            if self.transposed {
                self.fill_transposed(matrix, start, now)?;
            } else {
                self.fill_rows(matrix, start, now)?;
            }
            row += count;
            rest = later;
        }
        Ok(())
    }

    fn finished(&self) {
        self.tensor.release(0, self.tensor.len());
    }
}

impl Matrices<'_> {
    /// Copies whole rows.
    fn fill_rows(&self, matrix: usize, start: usize, out: &mut [u8]) -> Result<(), String> {
        let mut values = vec![0.0; self.columns];
        for (i, out) in out.chunks_exact_mut(self.columns * self.to.size()).enumerate() {
            let row = matrix * self.rows + self.source_row(start + i);
            self.tensor.read_f32(row * self.columns, &mut values);
            encode(&values, self.to, out)?;
        }
        Ok(())
    }

    /// Transposes tile by tile.
    fn fill_transposed(&self, matrix: usize, start: usize, out: &mut [u8]) -> Result<(), String> {
        let size = self.to.size();
        let row_bytes = self.columns * size;
        let end = start + out.len() / row_bytes;
        let mut tile = vec![0.0; TILE.0 * (TILE.1 + 2)];
        let mut line = vec![0.0; TILE.0];
        for row in (start..end).step_by(TILE.1) {
            let rows = row..end.min(row + TILE.1);
            for column in (0..self.columns).step_by(TILE.0) {
                let columns = column..self.columns.min(column + TILE.0);
                let (stride, skipped) = self.read_tile(matrix, &rows, &columns, &mut tile);
                for r in rows.clone() {
                    let line = &mut line[..columns.len()];
                    for (c, value) in line.iter_mut().enumerate() {
                        *value = tile[c * stride + r - rows.start + skipped];
                    }
                    let at = (r - start) * row_bytes + columns.start * size;
                    encode(line, self.to, &mut out[at..at + columns.len() * size])?;
                }
            }
        }
        Ok(())
    }

    /// Reads the tile's columns, each a line of the checkpoint; gives the lines' length and how many values of each
    /// line lie before the tile's first row.
    fn read_tile(
        &self,
        matrix: usize,
        rows: &std::ops::Range<usize>,
        columns: &std::ops::Range<usize>,
        tile: &mut [f32],
    ) -> (usize, usize) {
        let base = matrix * self.rows * self.columns;
        if !self.interleaved {
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

    fn source_row(&self, row: usize) -> usize {
        if self.interleaved { row / 2 + (row % 2) * (self.rows / 2) } else { row }
    }
}

/// Writes `values` as little-endian numbers of type `to`.
fn encode(values: &[f32], to: DataType, out: &mut [u8]) -> Result<(), String> {
    match to {
        DataType::Float32 => {
            for (value, out) in values.iter().zip(out.chunks_exact_mut(4)) {
                out.copy_from_slice(&value.to_le_bytes());
            }
            Ok(())
        }
        DataType::Float16 => encode_f16(values, out),
        other => Err(format!("weights are not stored as {other}")),
    }
}

fn encode_f16(values: &[f32], out: &mut [u8]) -> Result<(), String> {
    let mut buffer = [f16::ZERO; 256];
    for (values, out) in values.chunks(256).zip(out.chunks_mut(512)) {
        let halves = &mut buffer[..values.len()];
        halves.convert_from_f32_slice(values);
        if halves.iter().any(|half| half.is_infinite())
            && let Some(value) = values.iter().find(|value| value.is_finite() && f16::from_f32(**value).is_infinite())
        {
            return Err(format!("the value {value} is beyond float16's range; export with --precision fp32"));
        }
        for (half, out) in halves.iter().zip(out.chunks_exact_mut(2)) {
            out.copy_from_slice(&half.to_le_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Fills a whole tensor in stretches of `rows` rows.
    fn stretches(source: &Matrices<'_>, matrices: usize, rows: usize) -> Vec<f32> {
        let row = source.columns * source.to.size();
        let mut bytes = vec![0; matrices * source.rows * row];
        for (i, stretch) in bytes.chunks_mut(rows * row).enumerate() {
            source.fill(i * rows * source.columns, stretch).unwrap();
        }
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn read(tensor: &Tensor<'_>) -> Vec<f32> {
        let mut values = vec![0.0; tensor.len()];
        tensor.read_f32(0, &mut values);
        values
    }

    #[test]
    fn experts_are_transposed_and_interleaved_in_any_stretches() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny/moe");
        let checkpoint = Checkpoint::open(&directory).unwrap();
        let name = "model.language_model.layers.0.mlp.experts.gate_up_proj";
        let tensor = checkpoint.tensor(name).unwrap();
        let [experts, columns, rows] = *tensor.shape() else { panic!("{:?}", tensor.shape()) };
        let original = read(&tensor);
        let source = Matrices { tensor, to: DataType::Float32, rows, columns, transposed: true, interleaved: true };
        for stretch in [1, 3, 7, rows, experts * rows] {
            let values = stretches(&source, experts, stretch);
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
    fn both_expert_layouts_give_the_same_weights() {
        let read_all = |layout: &str, transposed: bool| {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(layout);
            let checkpoint = Checkpoint::open(&directory).unwrap();
            let moe = checkpoint.config().text.moe.clone().unwrap();
            let hidden = checkpoint.config().text.hidden_size;
            let both = [
                ("gate_up_proj", 2 * moe.moe_intermediate_size, hidden),
                ("down_proj", hidden, moe.moe_intermediate_size),
            ];
            both.map(|(part, rows, columns)| {
                let tensor = checkpoint.tensor(&format!("model.language_model.layers.1.mlp.experts.{part}")).unwrap();
                let interleaved = part == "gate_up_proj";
                let source = Matrices { tensor, to: DataType::Float32, rows, columns, transposed, interleaved };
                stretches(&source, moe.num_experts, 5)
            })
        };
        assert_eq!(read_all("moe", true), read_all("moe-resaved5x", false));
    }

    #[test]
    fn float16_holds_what_it_can_and_says_what_it_cannot() {
        let mut out = [0; 6];
        encode(&[1.0, -65504.0, f32::INFINITY], DataType::Float16, &mut out).unwrap();
        assert_eq!(out, [0x00, 0x3c, 0xff, 0xfb, 0x00, 0x7c]);
        let error = encode(&[1.0, 70000.0], DataType::Float16, &mut out[..4]).unwrap_err();
        assert_eq!(error, "the value 70000 is beyond float16's range; export with --precision fp32");
    }
}
