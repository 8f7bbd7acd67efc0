//! Reading and writing JSON files of a package.

use std::fs;
use std::path::Path;

use qvl_package::PackageError;
use serde_json::{Map, Value};

use crate::ExportError;
use crate::files::copied;

/// Reads an object; empty where there is no such file.
///
/// # Errors
/// If the file cannot be read or is no JSON object.
pub(crate) fn read(path: &Path) -> Result<Map<String, Value>, ExportError> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    serde_json::from_str(&copied::read(path)?)
        .map_err(|e| ExportError::File { path: path.to_path_buf(), reason: e.to_string() })
}

/// Writes a value, with a line for each entry.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write(path: &Path, value: &Value) -> Result<(), ExportError> {
    Ok(fs::write(path, format!("{value:#}\n")).map_err(|e| PackageError::io(path, e))?)
}
