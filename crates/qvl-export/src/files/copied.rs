//! Files that a package has in common with its checkpoint.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use qvl_package::PackageError;
use serde_json::Value;

use crate::ExportError;

/// Largest file that is copied; the published tokenizers have about eleven megabytes.
const LIMIT: u64 = 256 << 20;

/// Files that a package cannot do without.
const REQUIRED: [&str; 4] = ["config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"];

/// Files that are copied where the checkpoint has them.
const OPTIONAL: [&str; 2] = ["generation_config.json", "video_preprocessor_config.json"];

/// The chat template's file in a package.
pub(crate) const TEMPLATE: &str = "chat_template.jinja";

/// Copies the checkpoint's files, following the Hub cache's links; returns their names.
///
/// # Errors
/// If a required file is missing or one cannot be copied.
pub(crate) fn copy(checkpoint: &Path, package: &Path) -> Result<Vec<String>, ExportError> {
    let mut names = Vec::new();
    for name in REQUIRED.iter().chain(&OPTIONAL) {
        let from = checkpoint.join(name);
        if from.is_file() {
            copy_file(&from, &package.join(name))?;
            names.push((*name).to_owned());
        } else if REQUIRED.contains(name) {
            return Err(ExportError::MissingFile { path: from });
        }
    }
    let template = template(checkpoint)?;
    let to = package.join(TEMPLATE);
    fs::write(&to, template).map_err(|e| PackageError::io(to, e))?;
    names.push(TEMPLATE.to_owned());
    Ok(names)
}

/// The chat template: a file of its own, wrapped in JSON as older repositories have it, or in the tokenizer's settings.
fn template(checkpoint: &Path) -> Result<String, ExportError> {
    let plain = checkpoint.join(TEMPLATE);
    if plain.is_file() {
        return read(&plain);
    }
    for name in ["chat_template.json", "tokenizer_config.json"] {
        let path = checkpoint.join(name);
        if !path.is_file() {
            continue;
        }
        let settings: Value = serde_json::from_str(&read(&path)?)
            .map_err(|e| ExportError::File { path: path.clone(), reason: e.to_string() })?;
        if let Some(template) = settings.get("chat_template").and_then(Value::as_str) {
            return Ok(template.to_owned());
        }
    }
    Err(ExportError::MissingFile { path: plain })
}

/// Reads a text file of a size that such files have.
pub(crate) fn read(path: &Path) -> Result<String, ExportError> {
    let mut text = String::new();
    let io_error = |e| PackageError::io(path, e);
    let mut file = File::open(path).map_err(io_error)?.take(LIMIT + 1);
    file.read_to_string(&mut text).map_err(io_error)?;
    if text.len() as u64 > LIMIT {
        return Err(too_large(path));
    }
    Ok(text)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), ExportError> {
    let mut source = File::open(from).map_err(|e| PackageError::io(from, e))?.take(LIMIT + 1);
    let mut target = File::create_new(to).map_err(|e| PackageError::io(to, e))?;
    if io::copy(&mut source, &mut target).map_err(|e| PackageError::io(to, e))? > LIMIT {
        return Err(too_large(from));
    }
    Ok(())
}

fn too_large(path: &Path) -> ExportError {
    ExportError::File {
        path: path.to_path_buf(),
        reason: format!("is larger than {} MiB, as no such file is", LIMIT >> 20),
    }
}
