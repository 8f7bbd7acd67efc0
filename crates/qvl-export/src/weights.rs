//! A checkpoint's tensors in the order and type in which a graph wants them.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use qvl_checkpoint::{Checkpoint, Tensor};
use qvl_onnx::{DataType, GraphBuilder, MatMulNBits, QuantizedTable, StoredTensor, Value, WeightSource};

use crate::ExportError;
use crate::matrices::Matrices;
use crate::quantize::{BlockFormat, Loss};
use crate::storage::{Storage, StoragePlan};

/// Floats that are read before they are converted: four megabytes.
const STRETCH: usize = 1 << 20;

/// The checkpoint's tensors as weights of a graph that computes in the type `float`.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) float: DataType,
    pub(crate) plan: &'a StoragePlan,
}

impl<'a> Weights<'a> {
    /// A tensor as it is, in float32: norms and position embeddings, which are computed with in float32.
    pub(crate) fn float32(&self, g: &mut GraphBuilder<'a>, name: &str) -> Result<Value, ExportError> {
        self.typed(g, name, DataType::Float32)
    }

    /// A tensor as it is, in the type `to`.
    pub(crate) fn typed(&self, g: &mut GraphBuilder<'a>, name: &str, to: DataType) -> Result<Value, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let dims = tensor.shape().to_vec();
        let factors = self.plan.fold_of(name).outputs;
        Ok(g.weight(name, to, &dims, Converted { tensor, to, factors })?)
    }

    /// `x` [.., n] times the transpose of the matrix `name`.weight [m, n].
    pub(crate) fn linear(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        self.product(g, label, x, &format!("{name}.weight"))
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
        let bias = self.typed(g, &format!("{name}.bias"), self.float)?;
        Ok(g.add(label, &product, &bias)?)
    }

    /// `x` [.., n] times the transpose of the tensor `name` [m, ..], whose other axes have n elements together.
    pub(crate) fn product(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        match self.plan.storage_of(name) {
            Storage::Float(stored) => self.float_product(g, label, x, name, stored),
            Storage::Blocks(format) => {
                let (tensor, [outputs, inputs]) = self.matrix(name)?;
                let blocks = format.blocks(inputs);
                let matrices = Matrices::plain(tensor, [1, outputs, inputs]).folded(self.plan.fold_of(name));
                let dims = ([outputs, blocks, format.blob()], [outputs, blocks]);
                let weight = self.quantized(g, name, matrices, format, (&dims.0, &dims.1))?;
                let node = MatMulNBits {
                    x,
                    codes: &weight.codes,
                    scales: &weight.scales,
                    zero_points: weight.zero_points.as_ref(),
                    bits: format.bits,
                    block_size: format.size,
                    accuracy_level: format.accuracy_level,
                };
                Ok(g.matmul_n_bits(label, &node)?)
            }
        }
    }

    /// As [`Weights::product`], with the tensor stored as numbers of the type `stored`.
    pub(crate) fn float_product(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        x: &Value,
        name: &str,
        stored: DataType,
    ) -> Result<Value, ExportError> {
        let (tensor, [outputs, inputs]) = self.matrix(name)?;
        let fold = self.plan.fold_of(name).transposed();
        let matrices = Matrices::transposed(tensor, [1, inputs, outputs]).folded(fold);
        let weight = g.weight(name, stored, &[inputs, outputs], FloatRows { matrices, to: stored })?;
        let weight = g.cast(&format!("{label}.weight"), &weight, self.float)?;
        Ok(g.matmul(label, x, &weight)?)
    }

    /// A tensor [m, ..], m, and how many elements its other axes have together.
    fn matrix(&self, name: &str) -> Result<(Tensor<'a>, [usize; 2]), ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let outputs = tensor.shape().first().copied().unwrap_or(1);
        let inputs = tensor.len() / outputs.max(1);
        Ok((tensor, [outputs, inputs]))
    }

    /// The rows `indices` of the matrix `name` in the graph's type.
    pub(crate) fn rows(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        indices: &Value,
        name: &str,
    ) -> Result<Value, ExportError> {
        let stored_label = format!("{label}.stored");
        let rows = match self.plan.storage_of(name) {
            Storage::Float(stored) => {
                let table = self.typed(g, name, stored)?;
                g.gather(&stored_label, &table, indices, 0)?
            }
            Storage::Blocks(format) => self.quantized_rows(g, &stored_label, indices, name, format)?,
        };
        Ok(g.cast(label, &rows, self.float)?)
    }

    /// The rows `indices` of the matrix `name`, stored in blocks, in the type of the scales.
    fn quantized_rows(
        &self,
        g: &mut GraphBuilder<'a>,
        label: &str,
        indices: &Value,
        name: &str,
        format: BlockFormat,
    ) -> Result<Value, ExportError> {
        let (tensor, [count, columns]) = self.matrix(name)?;
        let blocks = format.blocks(columns);
        let matrices = Matrices::plain(tensor, [1, count, columns]);
        let dims = ([count, blocks * format.blob()], [count, blocks]);
        let weight = self.quantized(g, name, matrices, format, (&dims.0, &dims.1))?;
        let table = QuantizedTable {
            codes: &weight.codes,
            scales: &weight.scales,
            zero_points: weight.zero_points.as_ref(),
            bits: format.bits,
            block_size: format.size,
        };
        let rows = g.gather_quantized(&format!("{label}.blocks"), &table, indices)?;
        if blocks * format.size == columns {
            return Ok(rows);
        }
        // The last block of a row is filled up.
        let (start, end) = (g.ints(&[0])?, g.ints(&[columns as i64])?);
        Ok(g.slice(label, &rows, (&start, &end), 1, columns)?)
    }

    /// Expert matrices [experts, rows, columns] in the graph's type, stored as `stored`.
    pub(crate) fn experts(
        &self,
        g: &mut GraphBuilder<'a>,
        name: &str,
        matrices: Matrices<'a>,
        stored: DataType,
    ) -> Result<Value, ExportError> {
        let dims = matrices.dims();
        let weight = g.weight(name, stored, &dims, FloatRows { matrices, to: stored })?;
        Ok(g.cast(&format!("{name}.typed"), &weight, self.float)?)
    }

    /// Expert matrices [experts, rows, columns] in blocks: packed codes and scales.
    pub(crate) fn quantized_experts(
        &self,
        g: &mut GraphBuilder<'a>,
        name: &str,
        matrices: Matrices<'a>,
        format: BlockFormat,
    ) -> Result<(Value, Value), ExportError> {
        let [experts, rows, columns] = matrices.dims();
        let blocks = format.blocks(columns);
        let dims = ([experts, rows, blocks * format.blob()], [experts, rows, blocks]);
        let weight = self.quantized(g, name, matrices, format, (&dims.0, &dims.1))?;
        Ok((weight.codes, weight.scales))
    }

    /// Stores `matrices` as codes and scales of the shapes `dims`, and zero points where the format has them.
    fn quantized(
        &self,
        g: &mut GraphBuilder<'a>,
        name: &str,
        matrices: Matrices<'a>,
        format: BlockFormat,
        dims: (&[usize], &[usize]),
    ) -> Result<Quantized, ExportError> {
        let [count, rows, columns] = matrices.dims();
        let tensor = |part: &str, data_type, dims: &[usize]| StoredTensor {
            name: format!("{name}.{part}"),
            data_type,
            dims: dims.to_vec(),
        };
        let mut tensors = vec![tensor("codes", DataType::UInt8, dims.0), tensor("scales", DataType::Float32, dims.1)];
        if !format.symmetric {
            tensors.push(tensor("zero_points", DataType::UInt8, &[count * rows, format.zero_point_bytes(columns)]));
        }
        let values = if self.plan.is_shared(name) {
            tensors.iter().map(|tensor| g.stored_at(tensor, self.plan.place_of(tensor)?)).collect()
        } else if self.plan.calibrated().codes.has(name) {
            g.weights(tensors, count * rows, CalibratedRows { name: name.to_owned(), plan: self.plan })
        } else {
            let source = QuantizedRows { matrices, format, name: name.to_owned(), plan: self.plan };
            g.weights(tensors, count * rows, source)
        };
        let mut values = values?.into_iter();
        match (values.next(), values.next(), values.next()) {
            (Some(codes), Some(scales), zero_points) => Ok(Quantized { codes, scales, zero_points }),
            _ => Err(qvl_onnx::OnnxError::UnknownValue { name: name.to_owned() }.into()),
        }
    }
}

/// A quantised weight.
struct Quantized {
    codes: Value,
    scales: Value,
    zero_points: Option<Value>,
}

/// A tensor in its own order.
struct Converted<'a> {
    tensor: Tensor<'a>,
    to: DataType,
    /// One for each element.
    factors: Option<Arc<[f32]>>,
}

impl WeightSource for Converted<'_> {
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        let out = &mut *outputs[0];
        let row = out.len() / self.to.size() / rows.len();
        let mut values = vec![0.0; STRETCH.min(row * rows.len())];
        for (i, out) in out.chunks_mut(values.len() * self.to.size()).enumerate() {
            let first = rows.start * row + i * values.len();
            let values = &mut values[..out.len() / self.to.size()];
            self.tensor.read_f32(first, values);
            if let Some(factors) = &self.factors {
                values.iter_mut().zip(&factors[first..]).for_each(|(value, factor)| *value *= factor);
            }
            encode(values, self.to, out)?;
        }
        Ok(())
    }

    fn finished(&self) {
        self.tensor.release(0, self.tensor.len());
    }
}

/// Calls `use_rows` with stretches of the matrices' rows as float32, and where each begins among `rows`.
fn for_stretches(
    matrices: &Matrices<'_>,
    rows: Range<usize>,
    mut use_rows: impl FnMut(usize, &[f32]) -> Result<(), String>,
) -> Result<(), String> {
    let columns = matrices.dims()[2];
    let step = (STRETCH / columns).clamp(1, rows.len().max(1));
    let mut values = vec![0.0; step * columns];
    for start in rows.clone().step_by(step) {
        let end = rows.end.min(start + step);
        let values = &mut values[..(end - start) * columns];
        matrices.read(start..end, values);
        use_rows(start - rows.start, values)?;
    }
    Ok(())
}

/// Matrices as numbers of one type.
pub(crate) struct FloatRows<'a> {
    pub(crate) matrices: Matrices<'a>,
    pub(crate) to: DataType,
}

impl WeightSource for FloatRows<'_> {
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        let row_bytes = self.matrices.dims()[2] * self.to.size();
        for_stretches(&self.matrices, rows, |start, values| {
            encode(values, self.to, &mut outputs[0][start * row_bytes..][..values.len() * self.to.size()])
        })
    }

    fn finished(&self) {
        self.matrices.release();
    }
}

/// Matrices in blocks: codes, scales and, if asymmetric, zero points.
struct QuantizedRows<'a> {
    matrices: Matrices<'a>,
    format: BlockFormat,
    name: String,
    /// Is told what the tensor lost.
    plan: &'a StoragePlan,
}

impl WeightSource for QuantizedRows<'_> {
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        let columns = self.matrices.dims()[2];
        let [codes_row, scales_row, zero_points_row] = self.format.row_bytes(columns);
        let mut loss = Loss::default();
        for_stretches(&self.matrices, rows, |start, values| {
            for (row, values) in (start..).zip(values.chunks_exact(columns)) {
                if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                    return Err(format!("the value {value} cannot be quantised; export with --precision fp16"));
                }
                let [codes, scales, rest @ ..] = &mut *outputs else { return Err("it lacks an output".to_owned()) };
                let zero_points = match rest.first_mut() {
                    Some(zero_points) => &mut zero_points[row * zero_points_row..][..zero_points_row],
                    None => &mut [],
                };
                let codes = &mut codes[row * codes_row..][..codes_row];
                let scales = &mut scales[row * scales_row..][..scales_row];
                loss += self.format.quantize_row(values, codes, scales, zero_points);
            }
            Ok(())
        })?;
        self.plan.add_loss(&self.name, loss);
        Ok(())
    }

    fn finished(&self) {
        self.matrices.release();
    }
}

/// Matrices of which calibration found the codes.
struct CalibratedRows<'a> {
    name: String,
    plan: &'a StoragePlan,
}

impl WeightSource for CalibratedRows<'_> {
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        self.plan.calibrated().codes.copy(&self.name, rows, outputs)
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
    use super::*;

    #[test]
    fn float16_holds_what_it_can_and_says_what_it_cannot() {
        let mut out = [0; 6];
        encode(&[1.0, -65504.0, f32::INFINITY], DataType::Float16, &mut out).unwrap();
        assert_eq!(out, [0x00, 0x3c, 0xff, 0xfb, 0x00, 0x7c]);
        let error = encode(&[1.0, 70000.0], DataType::Float16, &mut out[..4]).unwrap_err();
        assert_eq!(error, "the value 70000 is beyond float16's range; export with --precision fp32");
    }
}
