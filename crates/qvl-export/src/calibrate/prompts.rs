//! What calibration runs on.

use std::error::Error;
use std::fmt;
use std::path::Path;

/// A prompt with its answer, as the text decoder gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationPrompt {
    /// Token ids, with a placeholder for each row of features.
    pub token_ids: Vec<u32>,
    /// Position of each token on the axes time, height, width.
    pub positions: Vec<[i64; 3]>,
    /// The vision encoder's rows for the placeholders, `(1 + R) · H` values each, one after the other.
    pub features: Vec<f32>,
}

/// Where calibration gets its prompts from.
pub trait Calibrator: fmt::Debug + Send + Sync {
    /// Name of the source, for the manifest.
    fn source(&self) -> String;

    /// At most `tokens` tokens' worth of prompts, each of which is whole. `package` is a directory with the checkpoint's
    /// tokenizer and processor files, `vision` the vision graph, which was written a moment ago.
    ///
    /// # Errors
    /// If there are none that the model can take.
    fn prompts(
        &self,
        package: &Path,
        vision: &Path,
        tokens: usize,
    ) -> Result<Vec<CalibrationPrompt>, Box<dyn Error + Send + Sync>>;
}
