//! From the path that a user gives to a package: a package is opened, a checkpoint is exported into the cache first.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use etcetera::BaseStrategy as _;
use qvl_export::{ExportOptions, Precision, Progress, export};
use qvl_package::PackageDir;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// The environment variable that moves the cache.
const CACHE_VARIABLE: &str = "QVL_CACHE_DIR";

/// Checkpoints with fewer bytes of weights than this are exported in single precision.
const FP32_BELOW_BYTES: u64 = 1 << 30;

/// What a path leads to.
#[derive(Debug)]
pub enum Located {
    /// A package.
    Package(Box<PackageDir>),
    /// A checkpoint, to be exported on its first use.
    Checkpoint(CachedExport),
}

/// Looks at `path`: a package directory, or a checkpoint (a directory with a `config.json`, or a safetensors file).
///
/// # Errors
/// If there is nothing, neither of both, or the package is not whole.
pub fn locate_package(path: &Path) -> Result<Located, Error> {
    let metadata = fs::metadata(path).map_err(|e| Error::model_path(path, e))?;
    if PackageDir::is_package(path) {
        return Ok(Located::Package(Box::new(PackageDir::open(path)?)));
    }
    let is_weights = metadata.is_file() && path.extension().is_some_and(|extension| extension == "safetensors");
    if is_weights || path.join("config.json").is_file() {
        return Ok(Located::Checkpoint(CachedExport::plan(path, &cache_root()?)?));
    }
    Err(Error::NeitherPackageNorCheckpoint { path: path.to_path_buf() })
}

/// `$QVL_CACHE_DIR`, or `qvl` in the user's cache directory.
pub(crate) fn cache_root() -> Result<PathBuf, Error> {
    match env::var_os(CACHE_VARIABLE) {
        Some(value) if !value.is_empty() => std::path::absolute(value).map_err(|_| Error::NoCache),
        _ => Ok(etcetera::choose_base_strategy().map_err(|_| Error::NoCache)?.cache_dir().join("qvl")),
    }
}

/// A checkpoint's package in the cache. A checkpoint that changed has another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedExport {
    checkpoint: PathBuf,
    target: PathBuf,
    precision: Precision,
}

impl CachedExport {
    /// Decides on precision and place: `CACHE/packages/NAME-PRECISION-KEY`, where KEY stands for the checkpoint's path,
    /// its files' names, sizes and times of change, and the version of this program.
    fn plan(checkpoint: &Path, cache: &Path) -> Result<Self, Error> {
        let checkpoint = fs::canonicalize(checkpoint).map_err(|e| Error::io(checkpoint, e))?;
        let directory = directory_of(&checkpoint);
        let files = list_files(directory).map_err(|e| Error::io(directory, e))?;
        let precision = precision_for(&files);
        let name = directory.file_name().map_or_else(|| "checkpoint".into(), |name| name.to_string_lossy());
        let target = cache.join("packages").join(format!("{name}-{precision}-{}", key(&checkpoint, &files)));
        Ok(Self { checkpoint, target, precision })
    }

    /// The precision of the package: fp32 for small checkpoints, fp16 for those of a GiB or more.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Where the package is, or will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The package, if it was exported before and is whole.
    pub fn existing(&self) -> Option<PackageDir> {
        PackageDir::open(&self.target).ok()
    }

    /// Exports the checkpoint, in place of a damaged package if there is one.
    ///
    /// # Errors
    /// If the checkpoint is not usable or the cache cannot be written.
    pub fn export(&self, progress: &dyn Progress) -> Result<PackageDir, Error> {
        export_to_cache(&self.checkpoint, &self.target, self.precision, progress)
    }
}

/// Exports `checkpoint` to `target` in the cache, in place of a damaged package if there is one.
pub(crate) fn export_to_cache(
    checkpoint: &Path,
    target: &Path,
    precision: Precision,
    progress: &dyn Progress,
) -> Result<PackageDir, Error> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    }
    let mut options = ExportOptions::new(target);
    options.precision = precision;
    options.overwrite = true;
    export(checkpoint, &options, progress)?;
    Ok(PackageDir::open(target)?)
}

/// The precision that suits a checkpoint's size: fp32 below a GiB of weights, fp16 from there on.
///
/// # Errors
/// If the checkpoint's directory cannot be read.
pub fn default_precision(checkpoint: &Path) -> Result<Precision, Error> {
    let directory = directory_of(checkpoint);
    Ok(precision_for(&list_files(directory).map_err(|e| Error::model_path(directory, e))?))
}

fn precision_for(files: &[FileStamp]) -> Precision {
    let weights = files.iter().filter(|file| file.name.ends_with(".safetensors"));
    if weights.map(|file| file.bytes).sum::<u64>() < FP32_BELOW_BYTES { Precision::Fp32 } else { Precision::Fp16 }
}

/// A checkpoint's directory: itself, or that of its one file.
fn directory_of(checkpoint: &Path) -> &Path {
    match checkpoint.parent() {
        Some(parent) if checkpoint.is_file() => {
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            }
        }
        _ => checkpoint,
    }
}

/// A file of a checkpoint, as far as it tells a changed checkpoint from the one that was exported.
struct FileStamp {
    name: String,
    bytes: u64,
    modified_nanoseconds: u128,
}

fn list_files(directory: &Path) -> io::Result<Vec<FileStamp>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // The Hub's cache holds links, whose targets count. A broken one is for the exporter to complain about.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if metadata.is_file() {
            let since_epoch = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            files.push(FileStamp {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes: metadata.len(),
                modified_nanoseconds: since_epoch.as_nanos(),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn key(checkpoint: &Path, files: &[FileStamp]) -> String {
    let mut hash = Sha256::new();
    hash.update(concat!(env!("CARGO_PKG_VERSION"), "\0"));
    hash.update(checkpoint.as_os_str().as_encoded_bytes());
    for file in files {
        hash.update(format!("\0{}\0{}\0{}", file.name, file.bytes, file.modified_nanoseconds));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(weights: &[u8]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config.json"), "{}").unwrap();
        fs::write(directory.path().join("model.safetensors"), weights).unwrap();
        directory
    }

    #[test]
    fn a_changed_checkpoint_has_another_package() {
        let directory = checkpoint(b"one");
        let cache = Path::new("/cache");
        let first = CachedExport::plan(directory.path(), cache).unwrap();
        assert_eq!(first, CachedExport::plan(directory.path(), cache).unwrap());
        assert!(first.target().starts_with("/cache/packages"));
        fs::write(directory.path().join("model.safetensors"), b"three").unwrap();
        assert_ne!(first.target(), CachedExport::plan(directory.path(), cache).unwrap().target());
    }

    #[test]
    fn precision_goes_by_the_size_of_the_weights() {
        let directory = checkpoint(b"");
        let cache = Path::new("/cache");
        assert_eq!(CachedExport::plan(directory.path(), cache).unwrap().precision(), Precision::Fp32);
        let large = fs::File::create(directory.path().join("model-2.safetensors")).unwrap();
        large.set_len(FP32_BELOW_BYTES).unwrap();
        assert_eq!(CachedExport::plan(directory.path(), cache).unwrap().precision(), Precision::Fp16);
    }

    #[test]
    fn a_path_that_is_neither_says_what_to_give() {
        let empty = tempfile::tempdir().unwrap();
        let error = locate_package(empty.path()).unwrap_err().to_string();
        assert!(error.contains("is neither a package") && error.contains("`qvl export`"), "{error}");
        let missing = locate_package(&empty.path().join("nothing")).unwrap_err();
        assert!(matches!(missing, Error::NotFound { .. }));
    }
}
