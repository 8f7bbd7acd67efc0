//! `qvl runtime where`

use std::path::Path;

use qvl::runtime;

use crate::terminal::{note, print};

/// Prints the path of the library that would be used; how it was found goes to stderr.
///
/// # Errors
/// If there is none, or it cannot be printed.
pub fn runtime_where(explicit: Option<&Path>) -> anyhow::Result<()> {
    let library = runtime::locate(explicit)?;
    print(&format!("{}\n", library.path.display()))?;
    note(format_args!("found by: {}", library.source));
    Ok(())
}
