//! Where the library is looked for.

use std::env;
use std::fmt;
use std::iter;
use std::path::{Path, PathBuf};

use super::library_name::library_in;
use super::{RuntimeError, cache, python};

/// The environment variable that names the library, as other programs with ONNX Runtime read it too.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// An ONNX Runtime library and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// The shared library file.
    pub path: PathBuf,
    /// What led to it.
    pub source: Source,
}

/// What led to a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The path that the caller gave.
    Option,
    /// The environment variable `ORT_DYLIB_PATH`.
    Environment,
    /// The directory of the running program.
    Executable,
    /// The cache that [`install`](super::install) fills.
    Cache,
    /// The `onnxruntime` package of the active Python.
    Python,
    /// A library directory of the system.
    System,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "--ort-lib",
            Self::Environment => VARIABLE,
            Self::Executable => "beside the program",
            Self::Cache => "qvl's cache",
            Self::Python => "the active Python",
            Self::System => "the system",
        })
    }
}

/// The library that would be loaded: `explicit` if given, else the first of the [search order](super).
///
/// Versions are judged by file names; whether the library loads shows when it is loaded.
///
/// # Errors
/// [`RuntimeError::Missing`] if a named path is no file, [`RuntimeError::NotFound`] if nothing is found.
pub fn locate(explicit: Option<&Path>) -> Result<Library, RuntimeError> {
    candidates(explicit)?.next().ok_or(RuntimeError::NotFound { rejected: Vec::new() })
}

/// All that may be loaded, in order, found as they are asked for: the question to Python takes time.
pub(super) fn candidates(explicit: Option<&Path>) -> Result<Box<dyn Iterator<Item = Library>>, RuntimeError> {
    if let Some(library) = named(explicit)? {
        return Ok(Box::new(iter::once(library)));
    }
    let tag = |source| move |path| Library { path, source };
    let beside = iter::once_with(beside_executable).flatten().map(tag(Source::Executable));
    let cached = iter::once_with(cache::installed).flatten().map(tag(Source::Cache));
    let python = iter::once_with(python::library).flatten().map(tag(Source::Python));
    let system = iter::once_with(system_directories).flatten().filter_map(|d| library_in(&d)).map(tag(Source::System));
    Ok(Box::new(beside.chain(cached).chain(python).chain(system)))
}

/// The library that the caller or the environment names; a directory stands for the library in it.
fn named(explicit: Option<&Path>) -> Result<Option<Library>, RuntimeError> {
    let (path, source) = match (explicit, env::var_os(VARIABLE)) {
        (Some(path), _) => (path.to_path_buf(), Source::Option),
        (None, Some(value)) if !value.is_empty() => (PathBuf::from(value), Source::Environment),
        _ => return Ok(None),
    };
    let file = if path.is_dir() { library_in(&path) } else { Some(path.clone()).filter(|p| p.is_file()) };
    // The loader would look for a relative path elsewhere.
    match file.and_then(|file| std::path::absolute(file).ok()) {
        Some(path) => Ok(Some(Library { path, source })),
        None => Err(RuntimeError::Missing { path, named_by: source }),
    }
}

fn beside_executable() -> Option<PathBuf> {
    library_in(env::current_exe().ok()?.parent()?)
}

/// Directories that the system's loader searches. Relative entries are left out: the working directory is no place to
/// load a library from.
fn system_directories() -> Vec<PathBuf> {
    let (variable, fixed): (&str, &[&str]) = if cfg!(windows) {
        ("PATH", &[])
    } else if cfg!(target_vendor = "apple") {
        ("DYLD_LIBRARY_PATH", &["/opt/homebrew/lib", "/usr/local/lib"])
    } else if cfg!(target_arch = "aarch64") {
        ("LD_LIBRARY_PATH", &["/usr/local/lib", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"])
    } else {
        ("LD_LIBRARY_PATH", &["/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"])
    };
    let listed = env::var_os(variable).unwrap_or_default();
    env::split_paths(&listed).filter(|d| d.is_absolute()).chain(fixed.iter().map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_path_is_used_as_it_is_or_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = locate(Some(file.path())).unwrap();
        assert_eq!(found, Library { path: file.path().to_path_buf(), source: Source::Option });

        let error = locate(Some(Path::new("/nowhere/libonnxruntime.so"))).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/nowhere/libonnxruntime.so") && text.contains("--ort-lib"), "{text}");
    }

    #[test]
    fn the_error_names_the_mend() {
        let text = RuntimeError::NotFound { rejected: Vec::new() }.to_string();
        assert!(text.contains("`qvl runtime install`"), "{text}");
        assert!(text.contains("1.24"), "{text}");
    }

    #[test]
    fn the_working_directory_is_not_searched() {
        assert!(system_directories().iter().all(|d| d.is_absolute()));
    }
}
