//! From a floating-point package to another one, without the checkpoint that it was made from.
//!
//! The graphs are turned back into a checkpoint, which lies in the directory where the new package is written and is
//! exported as any other. So every choice of an export is there, and a package that lost nothing gives what its own
//! checkpoint would.

mod form;
mod stored;
mod unpack;

use std::fs;
use std::path::Path;

use qvl_checkpoint::Checkpoint;
use qvl_package::{Graph, Intermediate, Manifest, PackageDir, PackageError, Precision, SourceInfo, Staging, Target};

use crate::export::Contents;
use crate::{ExportError, ExportOptions, ExportReport, Progress};

/// The checkpoint's directory within the one where the package is written: it goes away with that.
const SCRATCH: &str = ".checkpoint";

/// Makes a package out of the fp32 or fp16 package at `package`, with the choices of an export.
///
/// As much space as the old package takes is needed beside the new one while it is written. Its manifest names the
/// checkpoint behind the old package as its source, and that package's precision with it.
///
/// # Errors
/// If the old package is damaged or quantised, or the new one cannot be written; the target is then as it was.
pub fn requantize(
    package: &Path,
    options: &ExportOptions,
    progress: &dyn Progress,
) -> Result<ExportReport, ExportError> {
    options.check()?;
    let target = Target::new(&options.output, options.overwrite)?;
    let package = PackageDir::open(package)?;
    check_is_float(&package)?;
    let staging = Staging::create(target)?;
    let scratch = staging.path().join(SCRATCH);
    unpack::unpack(&package, &scratch, progress)?;
    let contents = Contents::write(&Checkpoint::open(&scratch)?, options, staging.path(), progress)?;
    fs::remove_dir_all(&scratch).map_err(|e| PackageError::io(scratch, e))?;
    contents.publish(staging, source_by_way_of(package.manifest()))
}

/// Refuses a package with quantised graphs.
fn check_is_float(package: &PackageDir) -> Result<(), ExportError> {
    let precisions = Graph::ALL.iter().filter_map(|&graph| {
        let info = package.manifest().graphs.get(graph.name())?;
        Some((graph, info.precision))
    });
    let graphs: Vec<(Graph, Precision)> = precisions.filter(|(_, precision)| precision.bits().is_some()).collect();
    if graphs.is_empty() {
        return Ok(());
    }
    Err(ExportError::Quantized { path: package.path().to_path_buf(), graphs })
}

/// The checkpoint behind a package, by way of that package.
fn source_by_way_of(manifest: &Manifest) -> SourceInfo {
    let precisions = manifest.graphs.iter().map(|(name, info)| (name.clone(), info.precision)).collect();
    let mut source = manifest.source.clone();
    source.via.push(Intermediate { qvl_version: manifest.qvl_version.clone(), precisions });
    source
}
