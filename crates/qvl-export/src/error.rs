use std::error::Error;
use std::path::PathBuf;

use qvl_package::{Graph, Method, Precision};

/// Problems of a package's tensors that are shown in full.
const SHOWN: usize = 10;

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
    /// The package to requantise has graphs that are quantised.
    #[error(
        "{path} is quantised already ({}), and what that rounded away is gone; give an fp32 or fp16 package, or export \
         the checkpoint",
        graphs.iter().map(|(graph, precision)| format!("{} {precision}", graph.name())).collect::<Vec<_>>().join(", ")
    )]
    Quantized {
        /// The package.
        path: PathBuf,
        /// Its quantised graphs.
        graphs: Vec<(Graph, Precision)>,
    },
    /// The graphs of the package to requantise do not store the tensors that its configuration calls for.
    #[error("{path}: {}; export the package again", listed(problems))]
    PackageTensors {
        /// The package.
        path: PathBuf,
        /// Everything that is wrong.
        problems: Vec<String>,
    },
    /// A method that calibrates has nothing to calibrate on.
    #[error("the method {method} needs prompts to calibrate on, and none were given; use search, which needs none")]
    NoCalibrator {
        /// The method.
        method: Method,
    },
    /// The prompts to calibrate on cannot be had.
    #[error("cannot calibrate")]
    Calibrator {
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A prompt to calibrate on does not fit the model.
    #[error("cannot calibrate: {reason}")]
    CalibrationPrompt {
        /// What is wrong.
        reason: String,
    },
    /// What a matrix meets in calibration is not finite.
    #[error(
        "cannot calibrate: inputs of {name} are beyond float32's range or no numbers; the weights before it are broken, or \
         use --method search, which does not run the model"
    )]
    CalibrationInputs {
        /// The matrix.
        name: String,
    },
    /// A weight that is to be quantised is not a finite number.
    #[error("{name} has the value {value}, which cannot be quantised; export with --precision fp16")]
    NotFinite {
        /// The tensor.
        name: String,
        /// The value.
        value: f32,
    },
    /// The export was stopped by its caller.
    #[error("the export was stopped; nothing was written")]
    Cancelled,
}

/// The first problems, and how many more there are.
fn listed(problems: &[String]) -> String {
    let shown = &problems[..problems.len().min(SHOWN)];
    let rest = problems.len() - shown.len();
    let more = if rest > 0 { format!(", and {rest} more problems") } else { String::new() };
    shown.join(", ") + &more
}
