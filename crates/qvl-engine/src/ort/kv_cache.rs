//! Keys and values of one sequence, kept where the graph works on them.
//!
//! Each layer has one buffer for its keys and one for its values, of shape [1, heads, capacity, head size]. A buffer is
//! bound as the past *and* as the present of its layer, so a step writes the new rows behind the old ones and copies
//! none. Rows beyond the sequence's length mean nothing: the graph sees the length in the attention mask.

use half::f16;
use ort::memory::{AllocationDevice, Allocator};
use ort::session::IoBinding;
use ort::value::{DynTensor, PrimitiveTensorElementType, TensorElementType};
use qvl_package::names;

/// What the buffers of a text graph have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KvShape {
    /// Number of layers.
    pub(super) layers: usize,
    /// Heads of keys and values.
    pub(super) heads: usize,
    /// Values in a head.
    pub(super) head_size: usize,
    /// Type of the values.
    pub(super) float: TensorElementType,
}

impl KvShape {
    /// Names of a layer's inputs and outputs, past before present, keys before values.
    pub(super) fn names(layer: usize) -> [[String; 2]; 2] {
        ["key", "value"].map(|part| [names::past(layer, part), names::present(layer, part)])
    }

    /// Bytes of keys and values of a token, all layers together.
    pub(super) fn token_bytes(&self) -> usize {
        let numbers = 2 * self.layers * self.heads * self.head_size;
        self.float.byte_size(numbers).unwrap_or(numbers * size_of::<f32>())
    }

    fn buffer(&self, allocator: &Allocator, capacity: usize) -> ort::Result<DynTensor> {
        DynTensor::new(allocator, self.float, [1, self.heads, capacity, self.head_size])
    }
}

/// The buffers of one sequence.
#[derive(Debug)]
pub(super) struct KvCache {
    shape: KvShape,
    /// Keys and values of each layer.
    layers: Vec<[DynTensor; 2]>,
    capacity: usize,
}

impl KvCache {
    /// Room for `capacity` tokens, in the allocator's memory.
    pub(super) fn new(shape: KvShape, allocator: &Allocator, capacity: usize) -> ort::Result<Self> {
        let buffer = |_| Ok([shape.buffer(allocator, capacity)?, shape.buffer(allocator, capacity)?]);
        let layers = (0..shape.layers).map(buffer).collect::<ort::Result<_>>()?;
        Ok(Self { shape, layers, capacity })
    }

    /// A copy of the first `len` tokens, with room for `capacity`.
    pub(super) fn fork(&self, allocator: &Allocator, capacity: usize, len: usize) -> ort::Result<Self> {
        let mut copy = Self::new(self.shape, allocator, capacity)?;
        for (from, to) in self.layers.iter().flatten().zip(copy.layers.iter_mut().flatten()) {
            copy_rows(from, to, len)?;
        }
        Ok(copy)
    }

    /// Number of tokens that there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Binds every buffer as past and present.
    pub(super) fn bind(&mut self, binding: &mut IoBinding) -> ort::Result<()> {
        for (layer, buffers) in self.layers.iter_mut().enumerate() {
            for (buffer, [past, present]) in buffers.iter_mut().zip(KvShape::names(layer)) {
                bind(buffer, past, present, binding)?;
            }
        }
        Ok(())
    }

    /// Makes room for `capacity` tokens, keeps the first `len`, and binds the new buffers. One is moved after the other,
    /// so that no more than one is there twice.
    ///
    /// After an error the cache is as good as before, with some of its buffers larger.
    pub(super) fn grow(
        &mut self,
        allocator: &Allocator,
        capacity: usize,
        len: usize,
        binding: &mut IoBinding,
    ) -> ort::Result<()> {
        for (layer, buffers) in self.layers.iter_mut().enumerate() {
            for (buffer, [past, present]) in buffers.iter_mut().zip(KvShape::names(layer)) {
                let mut larger = self.shape.buffer(allocator, capacity)?;
                copy_rows(buffer, &mut larger, len)?;
                bind(&mut larger, past, present, binding)?;
                *buffer = larger;
            }
        }
        self.capacity = capacity;
        Ok(())
    }
}

fn bind(buffer: &mut DynTensor, past: String, present: String, binding: &mut IoBinding) -> ort::Result<()> {
    binding.bind_input(past, &*buffer)?;
    binding.bind_output(present, buffer)
}

/// Copies the first `len` rows of every head of `from` to `to`, through the main memory if need be.
fn copy_rows(from: &DynTensor, to: &mut DynTensor, len: usize) -> ort::Result<()> {
    if to.memory_info().is_cpu_accessible() {
        return copy_rows_here(from, to, len);
    }
    let from = from.to(AllocationDevice::CPU, 0)?;
    let mut here = DynTensor::new(&Allocator::default(), *to.data_type(), to.shape().clone())?;
    copy_rows_here(&from, &mut here, len)?;
    here.copy_into(to)
}

fn copy_rows_here(from: &DynTensor, to: &mut DynTensor, len: usize) -> ort::Result<()> {
    match from.data_type() {
        TensorElementType::Float16 => copy_rows_of::<f16>(from, to, len),
        _ => copy_rows_of::<f32>(from, to, len),
    }
}

fn copy_rows_of<T: PrimitiveTensorElementType + Copy>(
    from: &DynTensor,
    to: &mut DynTensor,
    len: usize,
) -> ort::Result<()> {
    let (old_shape, old) = from.try_extract_tensor::<T>()?;
    let (old_rows, row) = (old_shape[2] as usize, old_shape[3] as usize);
    let (new_shape, new) = to.try_extract_tensor_mut::<T>()?;
    let new_rows = new_shape[2] as usize;
    for (old_head, new_head) in old.chunks_exact(old_rows * row).zip(new.chunks_exact_mut(new_rows * row)) {
        new_head[..len * row].copy_from_slice(&old_head[..len * row]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qvl_export::{ExportOptions, NoProgress, Precision};
    use qvl_package::PackageDir;

    use super::*;
    use crate::ort::OrtEngine;
    use crate::{Engine as _, EngineOptions, Prefill, SequenceId, runtime};

    /// An engine for the tiny checkpoint, and a sequence with 20 tokens in it.
    fn engine(precision: Precision) -> (tempfile::TempDir, OrtEngine, SequenceId) {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("package");
        let checkpoint = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../reference/tiny/dense-tied"));
        let options = ExportOptions { precision, ..ExportOptions::new(&output) };
        qvl_export::export(checkpoint, &options, &NoProgress).unwrap();
        let library = runtime::locate_or_install().unwrap();
        let options = EngineOptions { ort_library: Some(library.path), ..EngineOptions::default() };
        let mut engine = OrtEngine::open(&PackageDir::open(output).unwrap(), &options).unwrap();
        let id = engine.open_sequence(20).unwrap();
        let token_ids: Vec<u32> = (100..120).collect();
        let positions: Vec<[i64; 3]> = (0..20).map(|i| [i; 3]).collect();
        engine.prefill(id, &Prefill { token_ids: &token_ids, positions: &positions, features: None }).unwrap();
        (directory, engine, id)
    }

    fn cache(engine: &mut OrtEngine, id: SequenceId) -> &KvCache {
        &engine.sequences.find(id).unwrap().cache
    }

    fn addresses(cache: &KvCache) -> Vec<usize> {
        cache.layers.iter().flatten().map(|buffer| buffer.data_ptr().addr()).collect()
    }

    /// Rows of every head of every buffer: keys of the first layer, values of the first layer, …
    fn rows(cache: &KvCache) -> Vec<Vec<f32>> {
        let value = |buffer: &DynTensor| match buffer.data_type() {
            TensorElementType::Float16 => {
                buffer.try_extract_tensor::<f16>().unwrap().1.iter().map(|value| value.to_f32()).collect()
            }
            _ => buffer.try_extract_tensor::<f32>().unwrap().1.to_vec(),
        };
        let buffers = cache.layers.iter().flatten().map(value);
        buffers
            .flat_map(|buffer: Vec<f32>| buffer.chunks(cache.shape.head_size).map(<[f32]>::to_vec).collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn a_step_writes_its_rows_in_place_and_nothing_else() {
        for precision in [Precision::Fp32, Precision::Fp16] {
            let (_directory, mut engine, id) = engine(precision);
            let (before, old) = (addresses(cache(&mut engine, id)), rows(cache(&mut engine, id)));
            let capacity = cache(&mut engine, id).capacity();
            for step in 0..10 {
                engine.decode(id, 7, 20 + step).unwrap();
            }
            assert_eq!(addresses(cache(&mut engine, id)), before, "{precision}: the same memory");
            assert_eq!(cache(&mut engine, id).capacity(), capacity, "{precision}: no growth");
            let new = rows(cache(&mut engine, id));
            for (row, (old, new)) in old.iter().zip(&new).enumerate() {
                // The new rows are in the buffers that were bound as the past, right behind the old ones.
                let is_written = (20..30).contains(&(row % capacity));
                assert_eq!(old != new, is_written, "{precision}: row {} of {capacity}", row % capacity);
            }
        }
    }

    #[test]
    fn growing_moves_every_row_to_its_head() {
        for precision in [Precision::Fp32, Precision::Fp16] {
            let (_directory, mut engine, id) = engine(precision);
            let old_capacity = cache(&mut engine, id).capacity();
            let old = rows(cache(&mut engine, id));
            let positions: Vec<[i64; 3]> = (20..20 + old_capacity as i64).map(|i| [i; 3]).collect();
            let token_ids = vec![9; old_capacity];
            engine.prefill(id, &Prefill { token_ids: &token_ids, positions: &positions, features: None }).unwrap();
            let cache = cache(&mut engine, id);
            assert!(cache.capacity() >= old_capacity + 20);
            let new = rows(cache);
            for (old_head, new_head) in old.chunks(old_capacity).zip(new.chunks(cache.capacity())) {
                assert_eq!(old_head[..20], new_head[..20], "{precision}");
                assert!(new_head[20].iter().any(|&value| value != 0.0), "{precision}");
            }
        }
    }
}
