//! Streams random weights into safetensors files: numbers are made on all cores while the previous ones are written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use rayon::prelude::*;
use serde_json::{Map, json};

use super::random::{Fill, Weights};
use super::{SyntheticError, byte_len};
use crate::dtype::Dtype;
use crate::layout::TensorSpec;
use crate::write_header::safetensors_header;

/// Bytes made by one thread at a time.
const CHUNK: usize = 2 << 20;
/// Chunks handed to the disk together; with those being made, the memory in use is three times this many chunks.
const BATCH: usize = 16;

/// One piece of a tensor, to be filled.
struct Piece {
    fill: Fill,
    tensor: u64,
    chunk: u32,
    len: usize,
}

/// Writes the shards, and the index if there are several.
pub(super) fn write(
    directory: &Path,
    shards: &[&[TensorSpec]],
    seed: u64,
    progress: &dyn Fn(u64),
) -> Result<(), SyntheticError> {
    let weights = Weights::new(seed);
    let (mut weight_map, mut first_tensor) = (Map::new(), 0);
    for (i, tensors) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", i + 1),
        };
        let path = directory.join(&name);
        shard(&path, tensors, first_tensor, &weights, progress)
            .map_err(|source| SyntheticError::Write { path, source })?;
        first_tensor += tensors.len() as u64;
        weight_map.extend(tensors.iter().map(|tensor| (tensor.name.clone(), json!(name))));
    }
    if shards.len() == 1 {
        return Ok(());
    }
    let total: u64 = shards.iter().copied().flatten().map(byte_len).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": weight_map });
    let path = directory.join("model.safetensors.index.json");
    std::fs::write(&path, format!("{index:#}\n")).map_err(|source| SyntheticError::Write { path, source })
}

fn shard(
    path: &Path,
    tensors: &[TensorSpec],
    first_tensor: u64,
    weights: &Weights,
    progress: &dyn Fn(u64),
) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(&safetensors_header(tensors.iter().map(|tensor| (tensor, Dtype::BF16))))?;
    let (filled, ready) = sync_channel::<Vec<Vec<u8>>>(1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut pieces = pieces(tensors, first_tensor);
            loop {
                let batch: Vec<Piece> = pieces.by_ref().take(BATCH).collect();
                let made = batch
                    .into_par_iter()
                    .map(|piece| {
                        let mut bytes = vec![0; piece.len];
                        weights.fill(piece.fill, piece.tensor, piece.chunk, &mut bytes);
                        bytes
                    })
                    .collect::<Vec<_>>();
                // The receiver goes away when writing failed.
                if made.is_empty() || filled.send(made).is_err() {
                    break;
                }
            }
        });
        for chunk in ready.into_iter().flatten() {
            file.write_all(&chunk)?;
            progress(chunk.len() as u64);
        }
        Ok(())
    })
}

fn pieces(tensors: &[TensorSpec], first_tensor: u64) -> impl Iterator<Item = Piece> {
    (first_tensor..).zip(tensors).flat_map(|(index, tensor)| {
        let bytes = byte_len(tensor) as usize;
        let fill = Fill::of(&tensor.name);
        (0..).zip((0..bytes).step_by(CHUNK)).map(move |(chunk, start)| Piece {
            fill,
            tensor: index,
            chunk,
            len: CHUNK.min(bytes - start),
        })
    })
}
