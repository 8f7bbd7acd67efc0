use std::path::PathBuf;

/// Why an export failed. The target is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] qvl_checkpoint::CheckpointError),
    /// The package cannot be written.
    #[error(transparent)]
    Package(#[from] qvl_package::PackageError),
    /// A graph cannot be built or written.
    #[error(transparent)]
    Onnx(#[from] qvl_onnx::OnnxError),
    /// A file that the package needs beside the graphs is missing.
    #[error("{path} is missing; take it from the model's repository, a package cannot be used without it")]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file beside the weights cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The blocks of a quantised export have a size that is not possible.
    #[error("a block size of {size} is not possible; use a power of two from 16 to 256")]
    BlockSize {
        /// The size that was asked for.
        size: usize,
    },
    /// The experts' matrices do not divide into blocks.
    #[error("the experts' sizes {hidden} and {inner} do not divide into blocks of 16; export with --precision fp16")]
    ExpertBlocks {
        /// Hidden size of the text decoder.
        hidden: usize,
        /// Inner size of an expert.
        inner: usize,
    },
    /// The export was stopped by its caller.
    #[error("the export was stopped; nothing was written")]
    Cancelled,
}
