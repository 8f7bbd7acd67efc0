//! What quantisation is calibrated on.

use std::sync::Arc;

use anyhow::Context as _;
use qvl::CalibrationSet;
use qvl_export::{Calibrator, Method};
use tempfile::TempDir;

use crate::args::ChoiceArgs;
use crate::library;

/// The questions that are used where none are given, as the manifest calls them.
const OWN: &str = "qvl demo calibration";

/// The prompts that the arguments choose, if the method needs any, and their files for as long as they are needed.
#[derive(Default)]
pub struct Calibration {
    /// The prompts.
    pub prompts: Option<Arc<dyn Calibrator>>,
    _files: Option<TempDir>,
}

impl Calibration {
    /// Reads the prompts, and sees that there is a library to run the vision encoder with.
    ///
    /// # Errors
    /// If prompts are given that the method does not need, or they cannot be read, or there is no library.
    pub fn new(choices: &ChoiceArgs) -> anyhow::Result<Self> {
        let method = Method::from(choices.method);
        if !method.calibrates() {
            anyhow::ensure!(
                choices.calibration.is_none(),
                "--calibration is for the methods awq and gptq; {method} needs none"
            );
            return Ok(Self::default());
        }
        library::ensure(&choices.engine)?;
        let engine = choices.engine.options();
        if let Some(path) = &choices.calibration {
            return Ok(Self { prompts: Some(Arc::new(CalibrationSet::read(path, engine)?)), _files: None });
        }
        let files = tempfile::tempdir().context("cannot make a temporary directory")?;
        qvl_demo::calibration().extract(files.path()).context("cannot unpack the calibration's questions")?;
        let set = CalibrationSet::read(&files.path().join("questions.jsonl"), engine)?.named(OWN);
        Ok(Self { prompts: Some(Arc::new(set)), _files: Some(files) })
    }
}
