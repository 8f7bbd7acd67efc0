//! Why a package could not be measured.

use std::io;

use crate::error::Error;

/// Why a package could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The package itself is not usable.
    #[error(transparent)]
    Package(#[from] Error),
    /// No threads for measuring the machine.
    #[error("{threads} threads cannot be started: {reason}; use fewer (--threads)")]
    Threads {
        /// Threads that were wanted.
        threads: usize,
        /// What the system says.
        reason: io::Error,
    },
    /// An engine failed.
    #[error("{task} failed: {source}")]
    Engine {
        /// What it was to do, and which engine it is.
        task: String,
        /// Why it failed.
        source: Error,
    },
}
