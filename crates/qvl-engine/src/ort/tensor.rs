//! Tensors at the border: the engine's callers speak float32, a graph float32 or float16.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use ort::value::{DynTensor, DynValue, Tensor, TensorElementType};

/// A tensor of `values` in the floating-point type `float`.
pub(super) fn from_f32<const N: usize>(
    float: TensorElementType,
    shape: [usize; N],
    values: &[f32],
) -> ort::Result<DynTensor> {
    Ok(match float {
        TensorElementType::Float16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            Tensor::from_array((shape, halves))?.upcast()
        }
        _ => Tensor::from_array((shape, values.to_vec()))?.upcast(),
    })
}

/// An int64 tensor.
pub(super) fn from_i64<const N: usize>(shape: [usize; N], values: Vec<i64>) -> ort::Result<DynTensor> {
    Ok(Tensor::from_array((shape, values))?.upcast())
}

/// Shape and values of a floating-point tensor, as float32.
pub(super) fn to_f32(value: &DynValue) -> ort::Result<(Vec<i64>, Vec<f32>)> {
    if value.dtype().tensor_type() == Some(TensorElementType::Float16) {
        let (shape, halves) = value.try_extract_tensor::<f16>()?;
        let mut values = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut values);
        return Ok((shape.to_vec(), values));
    }
    let (shape, values) = value.try_extract_tensor::<f32>()?;
    Ok((shape.to_vec(), values.to_vec()))
}
