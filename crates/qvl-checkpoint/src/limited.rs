//! Reading files that may be larger than they should be, or no files at all.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: Error,
    },
    /// The file is longer than any such file should be.
    #[error("{path} has over {limit} bytes, which no such file needs; is it the right file?")]
    TooLarge {
        /// The file.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
}

impl ReadError {
    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// The bytes of the regular file at `path`, of which there may be `limit`.
///
/// A link to a regular file is one; a device has no end, and a pipe without a writer never gives a byte.
///
/// # Errors
/// [`ReadError::Io`] if it cannot be read or is something else, [`ReadError::TooLarge`] if it is longer.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let name = || path.display().to_string();
    let failed = |source| ReadError::Io { path: name(), source };
    // Asked before opening, because opening a named pipe would wait for a writer.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(Error::new(ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= limit {
        let file = File::open(path).map_err(failed)?;
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    }
    if metadata.len().max(bytes.len() as u64) > limit {
        return Err(ReadError::TooLarge { path: name(), limit });
    }
    Ok(bytes)
}

/// As [`read_limited`], of a file that holds UTF-8.
///
/// # Errors
/// As there, and [`ReadError::Io`] if it does not.
pub fn read_text_limited(path: &Path, limit: u64) -> Result<String, ReadError> {
    let not_text = |error| ReadError::Io { path: path.display().to_string(), source: Error::other(error) };
    String::from_utf8(read_limited(path, limit)?).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_up_to_the_limit_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read_text_limited(&path, 4).unwrap(), "four");
        assert!(matches!(read_limited(&path, 3), Err(ReadError::TooLarge { limit: 3, .. })));
        fs::write(&path, b"\xff").unwrap();
        assert!(matches!(read_text_limited(&path, 4), Err(ReadError::Io { .. })));
        assert!(read_limited(&directory.path().join("absent"), 4).unwrap_err().is_not_found());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let error = read_limited(directory.path(), 4).unwrap_err();
        assert!(error.to_string().ends_with("not a regular file"), "{error}");
    }

    /// A length of 0 says nothing of a device.
    #[cfg(unix)]
    #[test]
    fn devices_without_end_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let error = read_limited(&path, 4).unwrap_err();
        assert!(error.to_string().ends_with("not a regular file"), "{error}");
    }
}
