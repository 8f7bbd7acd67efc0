//! Calibration: what the text decoder's matrices meet in practice, and codes or scales that are fitted to it.
//!
//! The checkpoint's decoder runs in float32, one layer at a time, over prompts with their answers. Wherever matrices meet
//! their inputs x, `Σ w · xᵀx` is summed up, and a method makes of it what it needs: GPTQ codes, AWQ scales.

mod attention;
mod awq;
mod codes;
mod decoder;
mod fitter;
mod fold;
mod gptq;
mod gptq_fitter;
mod inverse;
mod prompts;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use std::path::Path;

use qvl_checkpoint::Checkpoint;
use qvl_package::{CalibrationInfo, Method};

use crate::storage::StoragePlan;
use crate::{ExportError, Progress, Stage};

pub(crate) use codes::Codes;
pub(crate) use fold::{Fold, Folds, apply};
pub use prompts::{CalibrationPrompt, Calibrator};

use awq::AwqFitter;
use codes::CodesWriter;
use decoder::Decoder;
use gptq_fitter::GptqFitter;
use stream::Stream;

/// What calibration found out about a text decoder.
#[derive(Debug, Default)]
pub(crate) struct Calibrated {
    /// Factors that go into weights.
    pub(crate) folds: Folds,
    /// Codes in place of those that rounding would give.
    pub(crate) codes: Codes,
    /// What it was found on.
    pub(crate) info: Option<CalibrationInfo>,
}

/// Calibrates the text decoder of `checkpoint` for `method` and the storage of `plan`. Codes go to a file in `directory`.
pub(crate) fn calibrate(
    checkpoint: &Checkpoint,
    plan: &StoragePlan,
    method: Method,
    (source, prompts): (String, Vec<CalibrationPrompt>),
    directory: &Path,
    progress: &dyn Progress,
) -> Result<Calibrated, ExportError> {
    let config = &checkpoint.config().text;
    progress.start(Stage::Calibrate, config.num_hidden_layers as u64);
    let count = prompts.len();
    let stream = Stream::new(checkpoint, prompts)?;
    let (tokens, vision_tokens) = (stream.tokens(), stream.vision_tokens);
    let info = Some(CalibrationInfo { source, prompts: count, tokens, vision_tokens });
    if method == Method::Awq {
        let mut fitter = AwqFitter::new(config);
        Decoder { checkpoint, plan, stream, fitter: &mut fitter, progress }.run()?;
        return Ok(Calibrated { folds: fitter.into_folds(), info, ..Calibrated::default() });
    }
    let mut fitter = GptqFitter::new(plan, CodesWriter::new(directory)?);
    Decoder { checkpoint, plan, stream, fitter: &mut fitter, progress }.run()?;
    Ok(Calibrated { codes: fitter.into_codes().finish()?, info, ..Calibrated::default() })
}
