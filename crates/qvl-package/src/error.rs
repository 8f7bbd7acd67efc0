use std::path::PathBuf;

use qvl_checkpoint::ReadError;

/// Why a package could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A file or directory could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The manifest cannot be read, or is far larger than one.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The directory is not a package.
    #[error("{path} is not a qvl package: it has no package.json; make one with `qvl export CHECKPOINT -o DIR`")]
    NotAPackage {
        /// The directory that was given.
        path: PathBuf,
    },
    /// `package.json` could not be understood.
    #[error("{path}: {reason}; export the package again")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The package was written by a newer format than this program reads.
    #[error("{path}: package format {found} is newer than this program's ({supported}); use a newer qvl")]
    NewerFormat {
        /// The manifest.
        path: PathBuf,
        /// The manifest's format version.
        found: u32,
        /// The newest version that is understood.
        supported: u32,
    },
    /// The export has the layout of transformers.js.
    #[error(
        "{path} has the layout of transformers.js, which qvl writes but does not open; export the checkpoint without --layout"
    )]
    TransformersJs {
        /// The directory that was given.
        path: PathBuf,
    },
    /// One or more of the package's files are missing, truncated or not plain files.
    #[error("package {path} is damaged: {}; export it again", problems.join(", "))]
    Damaged {
        /// The package.
        path: PathBuf,
        /// One entry for each file that is wrong.
        problems: Vec<String>,
    },
    /// The model's configuration inside the package is not usable.
    #[error("{path}: {source}")]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// What is wrong with it.
        source: qvl_checkpoint::ConfigError,
    },
    /// The target of an export exists and would be lost.
    #[error("{path} already holds a package; give --force to replace it")]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The target of an export exists and is something else.
    #[error("{path} exists and is not a qvl package; choose another directory (nothing was changed)")]
    NotReplaceable {
        /// The target.
        path: PathBuf,
    },
}

impl PackageError {
    /// An operating-system error at `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
