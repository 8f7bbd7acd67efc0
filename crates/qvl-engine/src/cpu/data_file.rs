//! A file of weights as a read-only memory map.

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::Mmap;

/// A mapped file. Processes that map the same one share its memory, and pages that nobody reads take none.
#[derive(Debug)]
pub(super) struct DataFile {
    map: Mmap,
}

impl DataFile {
    /// Maps the file at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the map is read-only and its lifetime is that of the owner. Another process that shortens the file
        // under us can end this one with a signal, as for every program that maps its inputs; it cannot corrupt memory.
        Ok(Self { map: unsafe { Mmap::map(&file) }? })
    }

    /// The file's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }
}
