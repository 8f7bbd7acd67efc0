//! `qvl export`

use std::time::Instant;

use indicatif::{HumanBytes, HumanDuration};
use qvl_export::{ExportOptions, Precision};

use crate::args::ExportArgs;
use crate::interrupt::Interrupt;
use crate::progress::ExportProgress;
use crate::terminal::note;

/// Exports a checkpoint and tells what was written.
///
/// # Errors
/// If the checkpoint is not usable, the package cannot be written, or Ctrl-C was pressed; the target is then as it was.
pub fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let start = Instant::now();
    let precision = match args.precision {
        Some(precision) => precision.into(),
        None => qvl::default_precision(&args.checkpoint)?,
    };
    let options = ExportOptions {
        output: args.output.clone(),
        precision,
        vision_precision: args.vision_precision.map(Precision::from),
        all_logits: args.all_logits,
        overwrite: args.force,
    };
    let report = Interrupt::install()?
        .during(|cancel| qvl_export::export(&args.checkpoint, &options, &ExportProgress::new(cancel)))?;
    note(format_args!(
        "wrote {}: text and embedding {}, vision {}, {} in {}",
        report.path.display(),
        precision,
        options.vision_precision.unwrap_or(precision),
        HumanBytes(report.bytes),
        HumanDuration(start.elapsed()),
    ));
    Ok(())
}
