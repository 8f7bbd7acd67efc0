//! `qvl export`

use std::path::Path;
use std::time::Instant;

use indicatif::{HumanBytes, HumanDuration};
use qvl_export::{ExportError, ExportOptions, ExportReport, Graph, Precision, Progress};

use crate::args::{ChoiceArgs, ExportArgs};
use crate::calibration::Calibration;
use crate::interrupt::Interrupt;
use crate::progress::ExportProgress;
use crate::terminal::note;

/// The accuracy level at which ONNX Runtime rounds activations to int8 too.
const INT8_ACTIVATIONS: usize = 4;

/// Exports a checkpoint and tells what was written.
///
/// # Errors
/// If the checkpoint is not usable, the package cannot be written, or Ctrl-C was pressed; the target is then as it was.
pub fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let precision = match args.precision {
        Some(precision) => precision.into(),
        None => qvl::default_precision(&args.checkpoint)?,
    };
    let calibration = Calibration::new(&args.choices)?;
    let options = options(&args.output, precision, &args.choices, &calibration);
    write_package(|progress| qvl_export::export(&args.checkpoint, &options, progress))
}

/// What the arguments choose for the package at `output`.
pub(super) fn options(
    output: &Path,
    precision: Precision,
    choices: &ChoiceArgs,
    calibration: &Calibration,
) -> ExportOptions {
    ExportOptions {
        output: output.to_path_buf(),
        layout: choices.layout.into(),
        precision,
        mix: choices.mix.clone(),
        vision_precision: choices.vision_precision.map(Precision::from),
        embedding_precision: choices.embedding_precision.map(Precision::from),
        method: choices.method.into(),
        calibrator: calibration.prompts.clone(),
        calibration_tokens: choices.calibration_tokens,
        block_size: choices.block_size,
        symmetric: !choices.asymmetric,
        accuracy_level: if choices.exact_activations { 0 } else { INT8_ACTIVATIONS },
        all_logits: choices.all_logits,
        overwrite: choices.force,
    }
}

/// Lets `write` write a package, with a progress bar and until Ctrl-C is pressed, and tells what was written.
pub(super) fn write_package(
    write: impl FnOnce(&dyn Progress) -> Result<ExportReport, ExportError>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let report = Interrupt::install()?.during(|cancel| write(&ExportProgress::new(cancel)))?;
    let infos = Graph::ALL.iter().rev().filter_map(|graph| report.graphs.get_key_value(graph.name()));
    let precisions: Vec<String> = infos.map(|(name, info)| format!("{name} {}", info.precision)).collect();
    note(format_args!(
        "wrote {}: {}, {} in {}",
        report.path.display(),
        precisions.join(", "),
        HumanBytes(report.bytes),
        HumanDuration(start.elapsed()),
    ));
    Ok(())
}
