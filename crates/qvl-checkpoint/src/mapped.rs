//! A weight file as a read-only memory map.

use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::CheckpointError;

/// Bytes before a range that reading it may have made resident too: Linux maps the neighbours of a page it fetches.
#[cfg(unix)]
const FAULT_AROUND: usize = 64 << 10;

/// A regular file, mapped.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: Mmap,
    path: PathBuf,
}

impl MappedFile {
    /// Maps a file; a link to a regular file is followed, since the Hub's cache is made of them.
    pub(crate) fn open(path: PathBuf) -> Result<Self, CheckpointError> {
        match map(&path) {
            Ok(map) => Ok(Self { map, path }),
            Err(source) => Err(CheckpointError::Read { path, source }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Lets the system take back the memory behind a range that will not be read soon; reading it again is slow, not wrong.
    pub(crate) fn release(&self, start: usize, len: usize) {
        #[cfg(unix)]
        {
            let end = start.saturating_add(len).min(self.map.len());
            let start = start.saturating_sub(FAULT_AROUND);
            if len == 0 || start >= end {
                return;
            }
            // SAFETY: dropping pages of a read-only, file-backed map loses nothing: a later read takes them from the
            // file again, so references into the map keep seeing the same bytes.
            let advised =
                unsafe { self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
            if let Err(error) = advised {
                tracing::debug!(path = %self.path.display(), %error, "cannot release mapped memory");
            }
        }
        #[cfg(not(unix))]
        let _ = (start, len);
    }
}

fn map(path: &Path) -> std::io::Result<Mmap> {
    // Asked before opening, because opening a named pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    // SAFETY: the map is read-only and its lifetime is that of the owner. Another process that shortens the file under
    // us can end this one with a signal, as for every program that maps its inputs; it cannot corrupt memory here.
    unsafe { Mmap::map(&file) }
}
