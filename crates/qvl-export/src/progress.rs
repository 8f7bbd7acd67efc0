use qvl_onnx::OnnxError;

use crate::ExportError;

/// What an export is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Writing a package's weights as a checkpoint's.
    Unpack,
    /// Hashing the checkpoint's files.
    Hash,
    /// Measuring which matrices lose most.
    Mix,
    /// Writing the vision encoder.
    Vision,
    /// Making the calibration's prompts ready.
    Prompts,
    /// Fitting the text decoder's layers to calibration; counts layers in place of bytes.
    Calibrate,
    /// Writing the embedding.
    Embedding,
    /// Writing the text decoder.
    Text,
}

impl Stage {
    /// What the stage does, for a progress bar.
    pub fn label(self) -> &'static str {
        match self {
            Self::Unpack => "unpacking the weights",
            Self::Hash => "hashing the checkpoint",
            Self::Mix => "choosing the mix",
            Self::Vision => "vision encoder",
            Self::Prompts => "reading the calibration prompts",
            Self::Calibrate => "calibrating",
            Self::Embedding => "embedding",
            Self::Text => "text decoder",
        }
    }
}

/// Is told how an export goes, from several threads at once.
pub trait Progress: Sync {
    /// A stage of `bytes` bytes begins; the one before has ended.
    fn start(&self, stage: Stage, bytes: u64);

    /// `bytes` more bytes of the stage are done.
    fn advance(&self, bytes: u64);

    /// Whether the export shall stop; asked between stages and stretches of weights.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Writes a file with a function that tells of bytes and asks whether to go on.
pub(crate) fn write_stage<T>(
    progress: &dyn Progress,
    (stage, bytes): (Stage, u64),
    write: impl FnOnce(&(dyn Fn(u64) -> bool + Sync)) -> Result<T, OnnxError>,
) -> Result<T, ExportError> {
    progress.start(stage, bytes);
    let advance = |bytes| {
        progress.advance(bytes);
        !progress.is_cancelled()
    };
    write(&advance).map_err(|error| match error {
        OnnxError::Stopped => ExportError::Cancelled,
        other => other.into(),
    })
}

/// Takes no notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _stage: Stage, _bytes: u64) {}

    fn advance(&self, _bytes: u64) {}
}
