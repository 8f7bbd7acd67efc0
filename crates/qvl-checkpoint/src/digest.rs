//! SHA-256 of a checkpoint's files.

use std::fmt::Write as _;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::error::CheckpointError;
use crate::mapped::MappedFile;

/// Bytes hashed before the memory behind them is released.
const CHUNK: usize = 8 << 20;

/// Size and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileDigest {
    /// Plain file name.
    pub name: String,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl Checkpoint {
    /// Hashes `config.json` and the weight files, several at a time; `progress` is told the bytes done since its last call.
    ///
    /// # Errors
    /// `config.json` can no longer be read.
    pub fn sha256(&self, progress: &(dyn Fn(u64) + Sync)) -> Result<Vec<FileDigest>, CheckpointError> {
        let config = "config.json";
        let mapped = MappedFile::open(self.directory().join(config))?;
        let mut files = vec![(config, &mapped)];
        files.extend(self.mapped());
        Ok(files
            .into_par_iter()
            .map(|(name, file)| FileDigest {
                name: name.to_owned(),
                bytes: file.bytes().len() as u64,
                sha256: hash(file, progress),
            })
            .collect())
    }
}

fn hash(file: &MappedFile, progress: &(dyn Fn(u64) + Sync)) -> String {
    let mut hasher = Sha256::new();
    for (i, chunk) in file.bytes().chunks(CHUNK).enumerate() {
        hasher.update(chunk);
        file.release(i * CHUNK, chunk.len());
        progress(chunk.len() as u64);
    }
    hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
