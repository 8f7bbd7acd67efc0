use std::io;
use std::path::PathBuf;

use qvl_checkpoint::Grid;

use crate::runtime::RuntimeError;
use crate::{Device, SequenceId};

/// Why an engine could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The ONNX Runtime library.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The library was built without the device's execution provider.
    #[error("the ONNX Runtime library {} has no support for the device {device}; {mend}", library.display())]
    NoDevice {
        /// What was asked for.
        device: Device,
        /// The library.
        library: PathBuf,
        /// Which build has it.
        mend: &'static str,
    },
    /// The library has the device's execution provider, and it does not start.
    #[error("the device {device} could not be used: {reason}; check its driver and libraries, or use the device cpu")]
    Device {
        /// What was asked for.
        device: Device,
        /// What ONNX Runtime says.
        reason: ort::Error,
    },
    /// A graph does not load.
    #[error("cannot open {}: {reason}", path.display())]
    Open {
        /// The ONNX file.
        path: PathBuf,
        /// What ONNX Runtime says.
        reason: ort::Error,
    },
    /// A graph has other inputs or outputs than the package's contract says.
    #[error("{} is not a graph of this kind of package: {reason}; export the checkpoint anew", path.display())]
    Contract {
        /// The ONNX file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
    /// A file of the package cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A graph that the engine cpu has no computation for.
    #[error("the engine cpu does not know the graph {}: {reason}; --engine ort may run it", path.display())]
    UnknownGraph {
        /// The ONNX file.
        path: PathBuf,
        /// What is not known.
        reason: String,
    },
    /// The engine cpu was asked to use another device.
    #[error("the engine cpu runs on the processor only; use --engine ort for the device {device}")]
    OnlyProcessor {
        /// What was asked for.
        device: Device,
    },
    /// The engine ort was asked to compute in single precision.
    #[error("the engine ort computes as the package's graphs say; use --engine cpu for --precise")]
    PreciseOrt,
    /// The engine ort was asked to keep keys and values in another type.
    #[error("the engine ort keeps keys and values as the package's graphs say; use --engine cpu for --kv-cache")]
    KvCacheOrt,
    /// The threads do not start.
    #[error("{threads} threads could not be started: {reason}; use fewer with --threads")]
    Threads {
        /// Number of threads.
        threads: usize,
        /// What is in the way.
        reason: io::Error,
    },
    /// There is not enough memory for a KV cache.
    #[error("there is no memory for {bytes} bytes of keys and values of {tokens} tokens: {reason}; shorten the prompt")]
    CacheMemory {
        /// Tokens that there should have been room for.
        tokens: usize,
        /// Bytes that they take.
        bytes: usize,
        /// What the system said.
        reason: io::Error,
    },
    /// A graph failed while it ran, or its tensors could not be made.
    #[error("the {graph} graph failed: {reason}")]
    Run {
        /// The graph.
        graph: &'static str,
        /// What ONNX Runtime says.
        reason: ort::Error,
    },
    /// A graph gave a result of another shape than its inputs call for.
    #[error("the {graph} graph gave a result of shape {found:?} where {expected} was expected")]
    Shape {
        /// The graph.
        graph: &'static str,
        /// The shape that came.
        found: Vec<i64>,
        /// What should have come.
        expected: String,
    },
    /// There is nothing to encode.
    #[error("there are no pictures to encode")]
    NoPictures,
    /// A grid cannot be merged.
    #[error(
        "a grid of {} x {} x {} patches cannot be merged; its sides must be positive and height and width multiples of \
         {merge}", grid.t, grid.h, grid.w
    )]
    Grid {
        /// The grid.
        grid: Grid,
        /// Side of the square of patches that is merged into one feature.
        merge: usize,
    },
    /// The pixel values do not fill the grids.
    #[error("{found} pixel values do not fill the grids, which take {expected}")]
    PixelValues {
        /// Number of values that came.
        found: usize,
        /// Number that the grids take.
        expected: usize,
    },
    /// There is no such sequence.
    #[error("there is no sequence {0}; it was closed, or belongs to another engine")]
    NoSequence(SequenceId),
    /// Two steps of a batch are of one sequence.
    #[error("the sequence {0} is in the batch twice; a step appends one token to each sequence")]
    TwiceInBatch(SequenceId),
    /// The graph gives logits for the last position only.
    #[error(
        "the package's text graph gives logits for a prompt's last position only; export the checkpoint with \
         --all-logits, or use --engine cpu"
    )]
    OnlyLastRow,
    /// The context is too short.
    #[error("{needed} tokens do not fit the model's context of {limit}; shorten the prompt or use smaller pictures")]
    Context {
        /// Tokens that the sequence would hold.
        needed: usize,
        /// Tokens that the model takes.
        limit: usize,
    },
    /// A prompt without tokens.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// A token beyond the vocabulary.
    #[error("token {token} is not of the vocabulary, which has {vocab}; the tokenizer does not belong to this package")]
    Token {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocab: usize,
    },
    /// Not one position for each token.
    #[error("the prompt has {tokens} tokens and {positions} positions")]
    Positions {
        /// Number of tokens.
        tokens: usize,
        /// Number of positions.
        positions: usize,
    },
    /// Features of another model.
    #[error("the features have rows of {found} values where the model takes {expected}")]
    FeatureWidth {
        /// Values in a row that came, or in the buffer for it.
        found: usize,
        /// Values in a row of this model.
        expected: usize,
    },
    /// Not one row of features for each placeholder.
    #[error("the prompt has {placeholders} picture and video placeholders and {rows} rows of features")]
    FeatureRows {
        /// Number of placeholders.
        placeholders: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A sequence cannot be truncated to more than it holds.
    #[error("a sequence of {have} tokens cannot be truncated to {len}")]
    Truncate {
        /// Tokens to keep.
        len: usize,
        /// Tokens that the sequence holds.
        have: usize,
    },
    /// A copy cannot hold more than the sequence does.
    #[error("a sequence of {have} tokens has no first {len} to copy")]
    Fork {
        /// Tokens to copy.
        len: usize,
        /// Tokens that the sequence holds.
        have: usize,
    },
}
