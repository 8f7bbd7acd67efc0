//! From the PACKAGE argument to a loaded model.

use std::path::Path;

use qvl::{CachedExport, CancelFlag, Located, PackageDir, Pipeline};

use crate::args::{EngineArgs, PackageArg};
use crate::library;
use crate::progress::ExportProgress;
use crate::terminal::note;

/// Loads the model, after exporting it if it is a checkpoint and installing the library if need be.
///
/// # Errors
/// If there is no package argument, or the package or the library is not usable.
pub fn load(package: &PackageArg, engine: &EngineArgs, cancel: &CancelFlag) -> anyhow::Result<Pipeline> {
    let path = package.path()?;
    let located = qvl::locate_package(path)?;
    library::ensure(engine)?;
    let package = match located {
        Located::Package(package) => *package,
        Located::Checkpoint(export) => exported(path, &export, cancel)?,
    };
    Ok(Pipeline::load(&package, &engine.options())?)
}

fn exported(checkpoint: &Path, export: &CachedExport, cancel: &CancelFlag) -> anyhow::Result<PackageDir> {
    if let Some(package) = export.existing() {
        return Ok(package);
    }
    note(format_args!(
        "{} is a checkpoint; exporting it as {} to {} (once)",
        checkpoint.display(),
        export.precision(),
        export.target().display()
    ));
    Ok(export.export(&ExportProgress::new(cancel))?)
}
