//! What can be wrong with a checkpoint.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::header::HeaderError;
use crate::limited::ReadError;

/// Problems shown in full; of the rest only the number is told.
const SHOWN: usize = 50;

/// Why a checkpoint was refused.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The configuration is missing or wrong.
    #[error("{}: {source}", path.display())]
    Config {
        /// The checkpoint's directory.
        path: PathBuf,
        /// What is wrong.
        source: ConfigError,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The index cannot be read, or is far larger than one.
    #[error(transparent)]
    IndexFile(#[from] ReadError),
    /// There is nothing to read at the path.
    #[error("{} is not a checkpoint: {reason}", path.display())]
    NotACheckpoint {
        /// The path that was given.
        path: PathBuf,
        /// What was looked for, and what to do.
        reason: String,
    },
    /// The index of the shards is wrong.
    #[error("{}: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A weight file is damaged.
    #[error("{}: {source}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: HeaderError,
    },
    /// The tensors are not those that the configuration calls for; all problems are listed.
    #[error("{}: {} with the tensors:{}", path.display(), count(.problems.len()), list(problems))]
    Tensors {
        /// The checkpoint's directory.
        path: PathBuf,
        /// Everything that is wrong.
        problems: Vec<TensorProblem>,
    },
    /// A tensor was asked for that the model does not have.
    #[error("the checkpoint has no tensor {0:?}")]
    UnknownTensor(String),
}

/// One thing that is wrong with a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorProblem {
    /// The configuration calls for it, no file has it.
    Missing {
        /// The Hub's name.
        name: String,
        /// Shape that it should have.
        shape: Vec<usize>,
    },
    /// The model has no such tensor.
    Unexpected {
        /// Name in the file.
        name: String,
        /// Shape in the file.
        shape: Vec<usize>,
    },
    /// It has another shape than the configuration calls for.
    Shape {
        /// The Hub's name.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that it should have.
        expected: Vec<usize>,
    },
    /// It is stored in a format that weights cannot have.
    Dtype {
        /// The Hub's name.
        name: String,
        /// Format in the file.
        found: &'static str,
    },
    /// It is there twice.
    Duplicate {
        /// The Hub's name.
        name: String,
        /// File and name of the one.
        first: String,
        /// File and name of the other.
        second: String,
    },
    /// The index puts it in another file than it is in.
    Misplaced {
        /// Name in the index.
        name: String,
        /// File that the index names; none if the index does not list it.
        indexed: Option<String>,
        /// File that has it; none if none has.
        found: Option<String>,
    },
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, shape } => write!(formatter, "missing: {name} {shape:?}"),
            Self::Unexpected { name, shape } => {
                write!(formatter, "unexpected: {name} {shape:?} is not part of this model")
            }
            Self::Shape { name, found, expected } => {
                write!(formatter, "wrong shape: {name} is {found:?}, the configuration calls for {expected:?}")
            }
            Self::Dtype { name, found } => write!(
                formatter,
                "wrong dtype: {name} is {found}, must be F32, F16 or BF16; use the unquantised checkpoint"
            ),
            Self::Duplicate { name, first, second } => write!(formatter, "twice: {name} is both {first} and {second}"),
            Self::Misplaced { name, indexed, found } => match (indexed, found) {
                (Some(indexed), Some(found)) => {
                    write!(formatter, "misplaced: {name} is in {found}, the index says {indexed}")
                }
                (Some(indexed), None) => {
                    write!(formatter, "misplaced: {name} is not in {indexed}, where the index says")
                }
                (None, found) => write!(
                    formatter,
                    "misplaced: {name} is in {}, but not in the index",
                    found.as_deref().unwrap_or("no file")
                ),
            },
        }
    }
}

fn count(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        _ => format!("{problems} problems"),
    }
}

fn list(problems: &[TensorProblem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(SHOWN) {
        let _ = write!(text, "\n  {problem}");
    }
    if problems.len() > SHOWN {
        let _ = write!(text, "\n  … and {} more", problems.len() - SHOWN);
    }
    text
}
