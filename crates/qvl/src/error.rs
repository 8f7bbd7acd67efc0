//! What can go wrong between a package and an answer.

use std::path::{Path, PathBuf};

use qvl_checkpoint::CheckpointError;
use qvl_engine::EngineError;
use qvl_export::ExportError;
use qvl_onnx::OnnxError;
use qvl_package::PackageError;
use qvl_processor::{ImageError, ProcessorError};

use crate::cached_prompt::LayoutError;
use crate::generation::GenerationConfigError;
use crate::grammar::GrammarError;
use crate::sampler::SampleError;

/// Why a package could not be opened or a question not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package is not usable.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The checkpoint is not usable.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A graph of the package is not an ONNX graph.
    #[error(transparent)]
    Graph(#[from] OnnxError),
    /// There is nothing at the path.
    #[error("{} does not exist; give the directory that `qvl export` wrote, or a Hugging Face checkpoint", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// The path holds neither a package nor a checkpoint.
    #[error(
        "{} is neither a package (it has no package.json) nor a checkpoint (it has no config.json); \
         give the directory that `qvl export` wrote, or a Hugging Face checkpoint",
        path.display()
    )]
    NeitherPackageNorCheckpoint {
        /// The path.
        path: PathBuf,
    },
    /// The checkpoint could not be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// No place for exported packages is known.
    #[error("the user's cache directory is not known; set QVL_CACHE_DIR to a directory, or use `qvl export`")]
    NoCache,
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A picture or video file could not be used.
    #[error("{}: {source}", path.display())]
    Media {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
    },
    /// A list of frames is longer than a video may be.
    #[error("{}: up to here the frames exceed the limit of {frames} frames or {pixels} pixels; give fewer or smaller ones", path.display())]
    TooManyFrames {
        /// The first file beyond the limit.
        path: PathBuf,
        /// Pixels of all frames together, at most.
        pixels: u64,
        /// Frames, at most.
        frames: usize,
    },
    /// The processor's files or the question itself are not usable.
    #[error(transparent)]
    Processor(#[from] ProcessorError),
    /// The engine could not start, or failed at its work.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A setting of the generation is out of range, or its file is broken.
    #[error(transparent)]
    GenerationConfig(#[from] GenerationConfigError),
    /// The answer could not keep to its grammar.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// The logits are broken.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The prompt's placeholders do not fit its pictures.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The prompt leaves no room for an answer.
    #[error(
        "the prompt has {tokens} tokens, but the model's context holds {context}; shorten it, use fewer or smaller \
         pictures (--max-pixels), or start a new conversation"
    )]
    PromptTooLong {
        /// Tokens of the prompt, placeholders included.
        tokens: usize,
        /// `max_position_embeddings` of the model.
        context: usize,
    },
    /// The thread of a service does not start.
    #[error(
        "the thread that runs the model could not be started: {0}; end other programs, or raise the limit of threads"
    )]
    ServiceThread(std::io::Error),
    /// The thread of a service ended before its time.
    #[error("the thread that runs the model has ended; this is a defect of qvl, please report it, and start it again")]
    ServiceEnded,
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }

    /// What keeps the model's path from being read.
    pub(crate) fn model_path(path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound { path: path.to_path_buf() },
            _ => Self::io(path, source),
        }
    }
}
