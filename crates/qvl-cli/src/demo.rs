//! The model that answers where none is given.

use qvl::{CancelFlag, EmbeddedCheckpoint, PackageDir};

use crate::progress::ExportProgress;
use crate::terminal::note;

/// Says which model is answering, so that nobody takes it for a large one.
pub fn announce() {
    let (name, millions) = (qvl_demo::NAME, qvl_demo::PARAMETERS as f64 / 1e6);
    note(format_args!("model: {name} (built in; {millions:.1}M parameters; knows {})", qvl_demo::KNOWS));
}

/// The demo model's package, which is exported into the cache on the first use.
///
/// # Errors
/// If the cache cannot be written, or `cancel` stops the export.
pub fn package(cancel: &CancelFlag) -> anyhow::Result<PackageDir> {
    let checkpoint =
        EmbeddedCheckpoint { name: qvl_demo::SLUG, files: qvl_demo::files(), hash: qvl_demo::content_hash() };
    Ok(checkpoint.package(&ExportProgress::new(cancel))?)
}
