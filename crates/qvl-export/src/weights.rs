//! A checkpoint's tensors in the order and type in which a graph wants them.

use std::ops::Range;

use half::f16;
use half::slice::HalfFloatSliceExt;
use qvl_checkpoint::{Checkpoint, Tensor};
use qvl_onnx::{DataType, GraphBuilder, MatMulNBits, StoredTensor, Value, WeightSource};

use crate::ExportError;
use crate::matrices::Matrices;
use crate::quantize::BlockFormat;

/// Floats that are read before they are converted: four megabytes.
const STRETCH: usize = 1 << 20;

/// How matrices are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As the graph's own type.
    Float,
    /// In blocks of few bits.
    Blocks(BlockFormat),
}

/// The checkpoint's tensors as weights of a graph that computes in the type `float`.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) float: DataType,
    pub(crate) storage: Storage,
}

impl<'a> Weights<'a> {
    /// The same tensors with matrices stored otherwise.
    pub(crate) fn stored_as(&self, storage: Storage) -> Self {
        Self { storage, ..*self }
    }

    /// A tensor as it is, in float32: norms and position embeddings, which are computed with in float32.
    pub(crate) fn float32(&self, g: &mut GraphBuilder<'a>, name: &str) -> Result<Value, ExportError> {
        self.typed(g, name, DataType::Float32)
    }

    /// A tensor as it is, in the type `to`.
    pub(crate) fn typed(&self, g: &mut GraphBuilder<'a>, name: &str, to: DataType) -> Result<Value, ExportError> {
        let tensor = self.checkpoint.tensor(name)?;
        let dims = tensor.shape().to_vec();
        Ok(g.weight(name, to, &dims, Converted { tensor, to })?)
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
        let tensor = self.checkpoint.tensor(name)?;
        let outputs = tensor.shape().first().copied().unwrap_or(1);
        let inputs = tensor.len() / outputs.max(1);
        match self.storage {
            Storage::Float => {
                let matrices = Matrices::transposed(tensor, [1, inputs, outputs]);
                let weight = g.weight(name, self.float, &[inputs, outputs], FloatRows { matrices, to: self.float })?;
                Ok(g.matmul(label, x, &weight)?)
            }
            Storage::Blocks(format) => {
                let blocks = format.blocks(inputs);
                let matrices = Matrices::plain(tensor, [1, outputs, inputs]);
                let weight =
                    quantized(g, name, matrices, format, &[outputs, blocks, format.blob()], &[outputs, blocks])?;
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

    /// Expert matrices [experts, rows, columns] in the graph's type.
    pub(crate) fn experts(
        &self,
        g: &mut GraphBuilder<'a>,
        name: &str,
        matrices: Matrices<'a>,
    ) -> Result<Value, ExportError> {
        let dims = matrices.dims();
        Ok(g.weight(name, self.float, &dims, FloatRows { matrices, to: self.float })?)
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
        let weight = quantized(g, name, matrices, format, &dims.0, &dims.1)?;
        Ok((weight.codes, weight.scales))
    }
}

/// A quantised weight.
struct Quantized {
    codes: Value,
    scales: Value,
    zero_points: Option<Value>,
}

/// Stores `matrices` as codes of shape `codes`, scales of shape `scales` and zero points where the format has them.
fn quantized<'a>(
    g: &mut GraphBuilder<'a>,
    name: &str,
    matrices: Matrices<'a>,
    format: BlockFormat,
    codes: &[usize],
    scales: &[usize],
) -> Result<Quantized, ExportError> {
    let [count, rows, columns] = matrices.dims();
    let tensor = |part: &str, data_type, dims: &[usize]| StoredTensor {
        name: format!("{name}.{part}"),
        data_type,
        dims: dims.to_vec(),
    };
    let mut tensors = vec![tensor("codes", DataType::UInt8, codes), tensor("scales", DataType::Float32, scales)];
    if !format.symmetric {
        tensors.push(tensor("zero_points", DataType::UInt8, &[count * rows, format.zero_point_bytes(columns)]));
    }
    let mut values = g.weights(tensors, count * rows, QuantizedRows { matrices, format })?.into_iter();
    match (values.next(), values.next(), values.next()) {
        (Some(codes), Some(scales), zero_points) => Ok(Quantized { codes, scales, zero_points }),
        _ => Err(qvl_onnx::OnnxError::UnknownValue { name: name.to_owned() }.into()),
    }
}

/// A tensor in its own order.
struct Converted<'a> {
    tensor: Tensor<'a>,
    to: DataType,
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
struct FloatRows<'a> {
    matrices: Matrices<'a>,
    to: DataType,
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
}

impl WeightSource for QuantizedRows<'_> {
    fn fill(&self, rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        let columns = self.matrices.dims()[2];
        let blocks = self.format.blocks(columns);
        let (codes_row, scales_row) = (blocks * self.format.blob(), blocks * 4);
        let zero_points_row = if self.format.symmetric { 0 } else { self.format.zero_point_bytes(columns) };
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
                self.format.quantize_row(values, codes, &mut scales[row * scales_row..][..scales_row], zero_points);
            }
            Ok(())
        })
    }

    fn finished(&self) {
        self.matrices.release();
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
