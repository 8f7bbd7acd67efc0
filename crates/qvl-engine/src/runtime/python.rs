//! The active Python: its interpreters and its `onnxruntime` package.

use std::env;
use std::path::PathBuf;

use super::command;
use super::library_name::library_in;

/// Prints the directory of the `onnxruntime` package without importing it. The first entry of the path is the working
/// directory, which is no place to load a library from.
const QUESTION: &str = "import sys; sys.path.pop(0)
import importlib.util
spec = importlib.util.find_spec('onnxruntime')
print(next(iter(spec.submodule_search_locations or []), '') if spec else '')";

/// Interpreters, the most particular first: of the virtual environment, of Conda, of the PATH.
pub(super) fn interpreters() -> Vec<PathBuf> {
    let root = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let mut found: Vec<PathBuf> = [
        root("VIRTUAL_ENV").map(|d| d.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })),
        root("CONDA_PREFIX").map(|d| d.join(if cfg!(windows) { "python.exe" } else { "bin/python" })),
        command::find("python3").or_else(|| command::find("python")),
    ]
    .into_iter()
    .flatten()
    .filter(|p| command::is_usable(p))
    .collect();
    found.dedup();
    found
}

/// The library in the `onnxruntime` package of the first interpreter that answers.
pub(super) fn library() -> Option<PathBuf> {
    let package = interpreters().into_iter().find_map(|interpreter| {
        let output = command::run(&interpreter, &["-c", QUESTION]).ok().filter(|o| o.status.success())?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    })?;
    // Python answers with an empty line if it has no such package.
    package.is_absolute().then(|| library_in(&package.join("capi"))).flatten()
}
