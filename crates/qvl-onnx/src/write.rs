use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message;
use rayon::prelude::*;

use crate::proto::{ExternalTensor, StringStringEntryProto, TensorProto};
use crate::weights::{StoredTensor, Weight};
use crate::{Model, OnnxError};

/// External tensors start at multiples of this many bytes, the page size, so that they can be memory-mapped.
pub const ALIGNMENT: u64 = 4096;

/// What all buffers together may hold.
const BUFFERS: usize = 128 << 20;

/// A buffer's smallest and largest size.
const BUFFER: (usize, usize) = (1 << 20, 16 << 20);

/// A stretch of rows that one source fills.
struct Chunk {
    weight: usize,
    rows: Range<usize>,
}

impl Model<'_> {
    /// Writes the ONNX file and, beside it, the file with its external tensors; `advance` is told of bytes written
    /// and says whether to go on. Returns where each external tensor lies.
    ///
    /// Tensors are converted and written by all cores through buffers of at most 128 MiB together.
    ///
    /// # Errors
    /// If a file cannot be written, a weight does not fit the type that it is stored in, or `advance` says to stop.
    pub fn write(
        mut self,
        onnx: &Path,
        data: &Path,
        advance: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Vec<ExternalTensor>, OnnxError> {
        let places = Places::new(&self.weights, 0, ALIGNMENT);
        write_data(data, &self.weights, &places, &[], advance)?;
        let location = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(graph) = &mut self.proto.graph {
            let tensors = self.weights.iter().flat_map(|weight| &weight.tensors);
            let external =
                tensors.zip(places.starts.iter().flatten()).map(|(t, &offset)| external(t, &location, offset));
            graph.initializer.extend(external);
        }
        let io_error = |source| OnnxError::Io { path: onnx.to_path_buf(), source };
        std::fs::write(onnx, self.proto.encode_to_vec()).map_err(io_error)?;
        self.proto.external_tensors().collect()
    }
}

/// Where each weight's tensors start, and where the last one ends.
pub(crate) struct Places {
    starts: Vec<Vec<u64>>,
    end: u64,
}

impl Places {
    /// One after another from the byte `first` on, each at a multiple of `alignment`.
    pub(crate) fn new(weights: &[Weight<'_>], first: u64, alignment: u64) -> Self {
        let mut end = first;
        let mut place = |tensor: &StoredTensor| {
            let start = end.next_multiple_of(alignment);
            end = start + tensor.bytes();
            start
        };
        let starts = weights.iter().map(|weight| weight.tensors.iter().map(&mut place).collect()).collect();
        Self { starts, end }
    }
}

/// The entry of a tensor at `offset` in the file `location`.
pub(crate) fn external(tensor: &StoredTensor, location: &str, offset: u64) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_owned(), value };
    TensorProto {
        dims: tensor.dims.iter().map(|&size| size as i64).collect(),
        data_type: Some(tensor.data_type.code()),
        name: tensor.name.clone(),
        raw_data: None,
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", tensor.bytes().to_string()),
        ],
        data_location: Some(1),
    }
}

/// Writes a file that begins with `head` and has the weights at their places.
pub(crate) fn write_data(
    path: &Path,
    weights: &[Weight<'_>],
    places: &Places,
    head: &[u8],
    advance: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(), OnnxError> {
    let io_error = |source| OnnxError::Io { path: path.to_path_buf(), source };
    let file = File::create_new(path).map_err(io_error)?;
    reserve(&file, places.end).map_err(io_error)?;
    write_at(&file, head, 0).map_err(io_error)?;
    let chunks = chunks(weights, (BUFFERS / rayon::current_num_threads()).clamp(BUFFER.0, BUFFER.1));
    let mut left: Vec<AtomicUsize> = weights.iter().map(|_| AtomicUsize::new(0)).collect();
    for chunk in &chunks {
        *left[chunk.weight].get_mut() += 1;
    }
    chunks.par_iter().try_for_each_init(Vec::new, |buffer, chunk| {
        let weight = &weights[chunk.weight];
        let row_bytes: Vec<usize> = weight.row_bytes().collect();
        buffer.resize(row_bytes.iter().sum::<usize>() * chunk.rows.len(), 0);
        let mut outputs = split(buffer, row_bytes.iter().map(|bytes| bytes * chunk.rows.len()));
        let weight_error = |reason| OnnxError::Weight { tensor: weight.tensors[0].name.clone(), reason };
        weight.source.fill(chunk.rows.clone(), &mut outputs).map_err(weight_error)?;
        for ((output, offset), bytes) in outputs.iter().zip(&places.starts[chunk.weight]).zip(row_bytes) {
            write_at(&file, output, offset + (chunk.rows.start * bytes) as u64).map_err(io_error)?;
        }
        if !advance(buffer.len() as u64) {
            return Err(OnnxError::Stopped);
        }
        if left[chunk.weight].fetch_sub(1, Ordering::AcqRel) == 1 {
            weight.source.finished();
        }
        Ok(())
    })
}

/// Cuts `buffer` into pieces of these lengths.
fn split(mut buffer: &mut [u8], lengths: impl Iterator<Item = usize>) -> Vec<&mut [u8]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, rest) = buffer.split_at_mut(length);
        pieces.push(piece);
        buffer = rest;
    }
    pieces
}

/// Cuts the weights into stretches of rows of about `bytes` bytes, in file order.
fn chunks(weights: &[Weight<'_>], bytes: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let step = (bytes / weight.row_bytes().sum::<usize>().max(1)).max(1);
        let starts = (0..weight.rows).step_by(step);
        chunks.extend(starts.map(|start| Chunk { weight: index, rows: start..(start + step).min(weight.rows) }));
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
