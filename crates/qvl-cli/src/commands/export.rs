//! `qvl export`

use std::time::Instant;

use indicatif::{HumanBytes, HumanDuration};
use qvl_export::{ExportOptions, Graph, Precision};

use crate::args::ExportArgs;
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
    let start = Instant::now();
    let precision = match args.precision {
        Some(precision) => precision.into(),
        None => qvl::default_precision(&args.checkpoint)?,
    };
    let options = ExportOptions {
        output: args.output.clone(),
        precision,
        mix: args.mix.clone(),
        vision_precision: args.vision_precision.map(Precision::from),
        embedding_precision: args.embedding_precision.map(Precision::from),
        method: args.method.into(),
        block_size: args.block_size,
        symmetric: !args.asymmetric,
        accuracy_level: if args.exact_activations { 0 } else { INT8_ACTIVATIONS },
        all_logits: args.all_logits,
        overwrite: args.force,
    };
    let report = Interrupt::install()?
        .during(|cancel| qvl_export::export(&args.checkpoint, &options, &ExportProgress::new(cancel)))?;
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
