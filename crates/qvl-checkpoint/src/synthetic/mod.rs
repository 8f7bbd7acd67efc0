//! Random checkpoints of any configuration, for tests and measurements without the published weights.
//!
//! Weights are written as BF16 in the Hub's names and layout. The numbers depend only on the configuration and the seed,
//! not on the machine or the number of threads.

mod random;
mod writer;

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::layout::{ExpertLayout, TensorSpec, expected_tensors};

/// Bytes of weights after which a new file begins, as on the Hub.
pub const HUB_SHARD_BYTES: u64 = 5_000_000_000;

/// How a random checkpoint is made.
#[derive(Debug, Clone)]
pub struct SyntheticOptions {
    /// Seed of the generator; equal seeds give equal files.
    pub seed: u64,
    /// Bytes of weights per file at most; a larger tensor has a file of its own.
    pub shard_bytes: u64,
    /// Order of the axes of the experts' weights.
    pub layout: ExpertLayout,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        Self { seed: 0, shard_bytes: HUB_SHARD_BYTES, layout: ExpertLayout::InputMajor }
    }
}

/// Why a random checkpoint could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SyntheticError {
    /// The directory has something in it.
    #[error("{} is not empty; give a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Bytes of weights that [`write`](fn@write) produces for a configuration.
pub fn weight_bytes(config: &Config, options: &SyntheticOptions) -> u64 {
    tensors(config, options).iter().map(byte_len).sum()
}

/// Writes `config.json` and the weights into a new or empty directory; `progress` is told the bytes since its last call.
///
/// # Errors
/// The directory is not empty, or a file cannot be written, for example because the disk is full.
pub fn write(
    config: &Config,
    directory: &Path,
    options: &SyntheticOptions,
    progress: &dyn Fn(u64),
) -> Result<(), SyntheticError> {
    prepare(directory)?;
    let path = directory.join("config.json");
    std::fs::write(&path, config.to_json()).map_err(|source| SyntheticError::Write { path, source })?;
    let tensors = tensors(config, options);
    let shards = split(&tensors, options.shard_bytes);
    writer::write(directory, &shards, options.seed, progress)
}

fn prepare(directory: &Path) -> Result<(), SyntheticError> {
    let failed = |source| SyntheticError::Write { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    match std::fs::read_dir(directory).map_err(failed)?.next() {
        None => Ok(()),
        Some(_) => Err(SyntheticError::NotEmpty(directory.to_owned())),
    }
}

fn tensors(config: &Config, options: &SyntheticOptions) -> Vec<TensorSpec> {
    expected_tensors(config, !config.tie_word_embeddings, options.layout)
}

fn byte_len(tensor: &TensorSpec) -> u64 {
    2 * tensor.elements()
}

/// Cuts the list into files of at most `limit` bytes, one tensor at least in each.
fn split(tensors: &[TensorSpec], limit: u64) -> Vec<&[TensorSpec]> {
    let (mut shards, mut first, mut bytes) = (Vec::new(), 0, 0);
    for (i, tensor) in tensors.iter().enumerate() {
        if i > first && bytes + byte_len(tensor) > limit {
            shards.push(&tensors[first..i]);
            (first, bytes) = (i, 0);
        }
        bytes += byte_len(tensor);
    }
    shards.push(&tensors[first..]);
    shards
}
