use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::library_name::OLDEST;
use super::{Library, Source, VERSION};

/// Why the ONNX Runtime library could not be found, loaded or installed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library in any of the places; those that were found and did not fit are listed.
    #[error(
        "the ONNX Runtime library was not found{}; run `qvl runtime install` to get it, or set ORT_DYLIB_PATH to a \
         library of version {}.{} or newer", list(rejected), OLDEST[0], OLDEST[1]
    )]
    NotFound {
        /// Libraries that were found and could not be used.
        rejected: Vec<Rejected>,
    },
    /// The path that the user names is no library.
    #[error("there is no ONNX Runtime library at {} (named by {named_by})", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
        /// Who named it.
        named_by: Source,
    },
    /// The library that the user names could not be used.
    #[error("cannot use the ONNX Runtime library {0}; run `qvl runtime install` to get one that fits")]
    Refused(Rejected),
    /// A process loads one library; another was asked for later.
    #[error("the ONNX Runtime library {} is loaded already, so {} cannot be; start a new process for it", loaded.display(), asked.display())]
    AlreadyLoaded {
        /// The library in use.
        loaded: PathBuf,
        /// The one that was asked for.
        asked: PathBuf,
    },
    /// The library was loaded and failed to start.
    #[error("the ONNX Runtime library {} failed to start: {reason}", path.display())]
    Start {
        /// The library.
        path: PathBuf,
        /// What it said.
        reason: ort::Error,
    },
    /// There is no official build for this operating system and processor.
    #[error(
        "there is no official build of ONNX Runtime {VERSION} for {platform}; build or install one and set \
         ORT_DYLIB_PATH to it"
    )]
    Platform {
        /// Operating system and processor.
        platform: String,
    },
    /// The user's cache directory is not known.
    #[error("the user's cache directory is not known; set QVL_CACHE_DIR to a directory")]
    NoCache,
    /// None of the programs that could fetch the library is there.
    #[error(
        "none of the programs that can fetch ONNX Runtime {VERSION} was found (looked for {looked_for}); install one, or \
         unpack the `onnxruntime` wheel from PyPI yourself and set ORT_DYLIB_PATH to the library in it"
    )]
    NoClient {
        /// Names of the programs.
        looked_for: String,
    },
    /// Every program that was tried failed.
    #[error(
        "ONNX Runtime {VERSION} could not be fetched{}; check the network (or the proxy and index settings of these \
         programs), or set ORT_DYLIB_PATH to a library that is there",
        list(failures)
    )]
    Fetch {
        /// What each program said.
        failures: Vec<FetchFailure>,
    },
    /// What came is not the pinned file.
    #[error(
        "{client} delivered a file that is not the official ONNX Runtime {VERSION} (SHA-256 {found}, expected \
         {expected}); nothing was installed. Check the package index that it is set up to use"
    )]
    Mismatch {
        /// The program that fetched it.
        client: String,
        /// Hash of what came, or a word on why it has none.
        found: String,
        /// The pinned hash.
        expected: &'static str,
    },
    /// A file or directory could not be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
}

impl RuntimeError {
    pub(super) fn io(path: &Path, reason: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), reason }
    }
}

/// A library that was found and could not be used.
#[derive(Debug)]
pub struct Rejected {
    /// The library.
    pub library: Library,
    /// Why not.
    pub reason: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.library.path.display(), self.library.source, self.reason)
    }
}

/// A program that failed to fetch the library.
#[derive(Debug)]
pub struct FetchFailure {
    /// The program.
    pub client: String,
    /// The end of what it said.
    pub reason: String,
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.client, self.reason)
    }
}

/// ` (a, b)`, or nothing for an empty list.
fn list<T: fmt::Display>(items: &[T]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!(" ({})", items.join("; "))
}
