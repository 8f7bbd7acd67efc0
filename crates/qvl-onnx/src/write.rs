use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message;
use rayon::prelude::*;

use crate::proto::{StringStringEntryProto, TensorProto};
use crate::weights::Weight;
use crate::{Model, OnnxError};

/// External tensors start at multiples of this many bytes, the page size, so that they can be memory-mapped.
pub const ALIGNMENT: u64 = 4096;

/// What all buffers together may hold.
const BUFFERS: usize = 128 << 20;

/// A buffer's smallest and largest size.
const BUFFER: (usize, usize) = (1 << 20, 16 << 20);

/// A stretch of whole rows of one tensor.
struct Chunk {
    weight: usize,
    elements: Range<usize>,
}

impl Model<'_> {
    /// Writes the ONNX file and, beside it, the file with its external tensors; `advance` is told of bytes written
    /// and says whether to go on.
    ///
    /// Tensors are converted and written by all cores through buffers of at most 128 MiB together.
    ///
    /// # Errors
    /// If a file cannot be written, a weight does not fit the type that it is stored in, or `advance` says to stop.
    pub fn write(mut self, onnx: &Path, data: &Path, advance: &(dyn Fn(u64) -> bool + Sync)) -> Result<(), OnnxError> {
        let offsets = self.offsets();
        write_data(data, &self.weights, &offsets, advance)?;
        let location = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(graph) = &mut self.proto.graph {
            graph
                .initializer
                .extend(self.weights.iter().zip(&offsets).map(|(w, &offset)| external(w, &location, offset)));
        }
        let io_error = |source| OnnxError::Io { path: onnx.to_path_buf(), source };
        std::fs::write(onnx, self.proto.encode_to_vec()).map_err(io_error)
    }

    fn offsets(&self) -> Vec<u64> {
        let starts = self.weights.iter().scan(0u64, |next, weight| {
            let offset = *next;
            *next = (offset + weight.bytes()).next_multiple_of(ALIGNMENT);
            Some(offset)
        });
        starts.collect()
    }
}

fn external(weight: &Weight<'_>, location: &str, offset: u64) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    TensorProto {
        dims: weight.dims.iter().map(|&size| size as i64).collect(),
        data_type: Some(weight.data_type.code()),
        name: weight.name.clone(),
        raw_data: None,
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", weight.bytes().to_string()),
        ],
        data_location: Some(1),
    }
}

fn write_data(
    path: &Path,
    weights: &[Weight<'_>],
    offsets: &[u64],
    advance: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(), OnnxError> {
    let io_error = |source| OnnxError::Io { path: path.to_path_buf(), source };
    let file = File::create_new(path).map_err(io_error)?;
    let total = weights.last().zip(offsets.last()).map_or(0, |(weight, offset)| offset + weight.bytes());
    reserve(&file, total).map_err(io_error)?;
    let chunks = chunks(weights, (BUFFERS / rayon::current_num_threads()).clamp(BUFFER.0, BUFFER.1));
    let mut left: Vec<AtomicUsize> = weights.iter().map(|_| AtomicUsize::new(0)).collect();
    for chunk in &chunks {
        *left[chunk.weight].get_mut() += 1;
    }
    chunks.par_iter().try_for_each_init(Vec::new, |buffer, chunk| {
        let weight = &weights[chunk.weight];
        let size = weight.data_type.size();
        buffer.resize(chunk.elements.len() * size, 0);
        let weight_error = |reason| OnnxError::Weight { tensor: weight.name.clone(), reason };
        weight.source.fill(chunk.elements.start, buffer).map_err(weight_error)?;
        let offset = offsets[chunk.weight] + (chunk.elements.start * size) as u64;
        write_at(&file, buffer, offset).map_err(io_error)?;
        if !advance(buffer.len() as u64) {
            return Err(OnnxError::Stopped);
        }
        if left[chunk.weight].fetch_sub(1, Ordering::AcqRel) == 1 {
            weight.source.finished();
        }
        Ok(())
    })
}

/// Cuts the tensors into stretches of whole rows of about `bytes` bytes, in file order.
fn chunks(weights: &[Weight<'_>], bytes: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let rows = (bytes / (weight.row() * weight.data_type.size())).max(1);
        let step = rows * weight.row();
        let starts = (0..weight.len()).step_by(step);
        chunks.extend(starts.map(|start| Chunk { weight: index, elements: start..(start + step).min(weight.len()) }));
    }
    chunks
}

/// Takes the space on the disk at once, so that a full disk is an error now and not after minutes of work.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if bytes > 0 {
        use rustix::io::Errno;
        let reserved = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes);
        // File systems that do not know how to are no reason to stop: then the writes themselves will tell.
        if let Err(error @ (Errno::NOSPC | Errno::FBIG | Errno::DQUOT)) = reserved {
            return Err(error.into());
        }
    }
    file.set_len(bytes)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}
