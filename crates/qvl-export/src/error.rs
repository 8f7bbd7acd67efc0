use std::path::PathBuf;

use qvl_package::Precision;

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
    /// A pattern of the mix stands for no tensor.
    #[error("no matrix of the text decoder is called `{pattern}`; names are such as {examples}")]
    MixPattern {
        /// The pattern.
        pattern: String,
        /// Names that there are.
        examples: String,
    },
    /// A mix was given for an export that is not quantised.
    #[error(
        "a mix of precisions needs a quantised text decoder, not {precision}; export with --precision int8 or int4"
    )]
    MixOfFloats {
        /// The precision that was asked for.
        precision: Precision,
    },
    /// The two matrices of a layer's experts would be quantised differently.
    #[error(
        "the experts' matrices of a layer have as many bits each; give the mix one rule for both: {layer}.experts.*"
    )]
    ExpertsDiffer {
        /// Name of the layer's MLP.
        layer: String,
    },
    /// The export was stopped by its caller.
    #[error("the export was stopped; nothing was written")]
    Cancelled,
}
