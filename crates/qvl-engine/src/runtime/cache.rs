//! The directory that installed libraries live in.

use std::env;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use super::RuntimeError;
use super::pinned::{self, Build, VERSION};

/// The environment variable that moves the cache.
const VARIABLE: &str = "QVL_CACHE_DIR";

/// `CACHE/onnxruntime/VERSION/PLATFORM`, where CACHE is `$QVL_CACHE_DIR` or `qvl` in the user's cache directory.
///
/// # Errors
/// If neither is known.
pub(super) fn directory(build: &Build) -> Result<PathBuf, RuntimeError> {
    let root = match env::var_os(VARIABLE) {
        Some(value) if !value.is_empty() => std::path::absolute(value).map_err(|_| RuntimeError::NoCache)?,
        _ => etcetera::choose_base_strategy().map_err(|_| RuntimeError::NoCache)?.cache_dir().join("qvl"),
    };
    Ok(root.join("onnxruntime").join(VERSION).join(build.platform))
}

/// The installed library of this platform, if it is there and has its size. Its hash was checked when it was installed.
pub(super) fn installed() -> Option<PathBuf> {
    let build = pinned::build()?;
    let path = directory(build).ok()?.join(build.file);
    let found = path.symlink_metadata().ok()?;
    (found.is_file() && found.len() == build.bytes).then_some(path)
}
