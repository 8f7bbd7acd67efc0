//! From the PACKAGE argument to a loaded model.

use std::path::Path;

use qvl::{CachedExport, CancelFlag, Located, PackageDir, Pipeline};

use crate::args::{EngineArgs, PackageArg};
use crate::demo;
use crate::library;
use crate::progress::ExportProgress;
use crate::terminal::note;

/// Loads the model, after exporting it if it is a checkpoint and installing the library if need be. Without an argument
/// that is the demo model.
///
/// # Errors
/// If the package or the library is not usable.
pub fn load(package: &PackageArg, engine: &EngineArgs, cancel: &CancelFlag) -> anyhow::Result<Pipeline> {
    Ok(Pipeline::load(&find(package, engine, cancel)?, &engine.options())?)
}

/// The package, after exporting it if it is a checkpoint and installing the library if need be. Without an argument that
/// is the demo model's.
///
/// # Errors
/// If the package or the library is not usable.
pub fn find(package: &PackageArg, engine: &EngineArgs, cancel: &CancelFlag) -> anyhow::Result<PackageDir> {
    match &package.package {
        None => built_in(engine, cancel),
        Some(path) => given(path, engine, cancel),
    }
}

fn built_in(engine: &EngineArgs, cancel: &CancelFlag) -> anyhow::Result<PackageDir> {
    library::ensure(engine)?;
    demo::announce();
    demo::package(cancel)
}

/// The package at `path`, after exporting it if it is a checkpoint and installing the library if need be.
///
/// # Errors
/// If the package or the library is not usable.
pub fn given(path: &Path, engine: &EngineArgs, cancel: &CancelFlag) -> anyhow::Result<PackageDir> {
    let located = qvl::locate_package(path)?;
    library::ensure(engine)?;
    match located {
        Located::Package(package) => Ok(*package),
        Located::Checkpoint(export) => exported(path, &export, cancel),
    }
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
