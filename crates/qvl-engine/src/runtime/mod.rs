//! The ONNX Runtime library: finding it, loading it once, installing it.
//!
//! `qvl` links against no ONNX Runtime; it loads one at run time, version 1.24 or newer. [`locate`] says which one it
//! would be, [`install`] puts the pinned official build into the user's cache. The search order is
//!
//! 1. the path that the user names (`--ort-lib`, or the environment variable `ORT_DYLIB_PATH`),
//! 2. the directory of the running program,
//! 3. the cache that [`install`] fills,
//! 4. the `onnxruntime` package of the active Python,
//! 5. the system's library directories.
//!
//! A named library is used or refused, never passed over; of the others the first that fits is taken.

mod cache;
mod client;
mod command;
mod error;
mod install;
mod library_name;
mod load;
mod log;
mod pinned;
mod python;
mod search;

pub use error::{FetchFailure, Rejected, RuntimeError};
pub use install::install;
pub use log::LOG_TARGET;
pub use pinned::VERSION;
pub use search::{Library, Source, locate};

pub(crate) use load::{Runtime, load};

/// The library that [`locate`] finds, or else the one that [`install`] fetches: what a test or a demonstration wants.
///
/// # Errors
/// Those of [`locate`] (a named library that is not there) and of [`install`].
pub fn locate_or_install() -> Result<Library, RuntimeError> {
    match locate(None) {
        Err(RuntimeError::NotFound { .. }) => {
            let path = install(&|step| tracing::info!("{step}"))?;
            Ok(Library { path, source: Source::Cache })
        }
        found => found,
    }
}
