/// What an export is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Hashing the checkpoint's files.
    Hash,
    /// Measuring which matrices lose most.
    Mix,
    /// Writing the vision encoder.
    Vision,
    /// Writing the embedding.
    Embedding,
    /// Writing the text decoder.
    Text,
}

impl Stage {
    /// What the stage does, for a progress bar.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hash => "hashing the checkpoint",
            Self::Mix => "choosing the mix",
            Self::Vision => "vision encoder",
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

/// Takes no notice.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _stage: Stage, _bytes: u64) {}

    fn advance(&self, _bytes: u64) {}
}
