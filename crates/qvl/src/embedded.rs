//! A checkpoint whose files are part of the program.

use std::fs;
use std::path::{Path, PathBuf};

use qvl_export::{Precision, Progress};
use qvl_package::PackageDir;
use tempfile::TempDir;

use crate::error::Error;
use crate::open::{cache_root, export_to_cache};

/// How much of the content's hash tells one content's package from another's.
const KEY_DIGITS: usize = 16;

/// A small checkpoint that a program carries in itself.
#[derive(Clone, Copy)]
pub struct EmbeddedCheckpoint {
    /// The name of its package: letters, digits and hyphens.
    pub name: &'static str,
    /// Name and bytes of each file.
    pub files: &'static [(&'static str, &'static [u8])],
    /// Hexadecimal digits that change with the files.
    pub hash: &'static str,
}

impl EmbeddedCheckpoint {
    /// Its package in single precision, which is exported into the cache on the first use:
    /// `CACHE/packages/NAME-PRECISION-VERSION-KEY`, where KEY is the beginning of the hash.
    ///
    /// # Errors
    /// If the cache or the temporary directory cannot be written, or `progress` stops the export.
    pub fn package(&self, progress: &dyn Progress) -> Result<PackageDir, Error> {
        let target = self.target(&cache_root()?);
        if let Ok(package) = PackageDir::open(&target) {
            return Ok(package);
        }
        let (_temporary, checkpoint) = self.unpack()?;
        export_to_cache(&checkpoint, &target, Precision::Fp32, progress)
    }

    fn target(&self, cache: &Path) -> PathBuf {
        let key = &self.hash[..self.hash.len().min(KEY_DIGITS)];
        let (precision, version) = (Precision::Fp32, env!("CARGO_PKG_VERSION"));
        cache.join("packages").join(format!("{}-{precision}-{version}-{key}", self.name))
    }

    /// Writes the files for as long as the directory lives; the package calls its source by the name of the inner one.
    fn unpack(&self) -> Result<(TempDir, PathBuf), Error> {
        let temporary = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), e))?;
        let checkpoint = temporary.path().join(self.name);
        fs::create_dir(&checkpoint).map_err(|e| Error::io(&checkpoint, e))?;
        for (name, bytes) in self.files {
            let path = checkpoint.join(name);
            fs::write(&path, bytes).map_err(|e| Error::io(path, e))?;
        }
        Ok((temporary, checkpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: EmbeddedCheckpoint =
        EmbeddedCheckpoint { name: "small", files: &[("config.json", b"{}")], hash: "0123456789abcdef0123" };

    #[test]
    fn another_content_has_another_package() {
        let version = env!("CARGO_PKG_VERSION");
        let target = ONE.target(Path::new("/cache"));
        assert_eq!(target, Path::new(&format!("/cache/packages/small-fp32-{version}-0123456789abcdef")));
        assert_ne!(EmbeddedCheckpoint { hash: "1", ..ONE }.target(Path::new("/cache")), target);
    }

    #[test]
    fn the_files_are_unpacked_and_taken_away_again() {
        let (temporary, checkpoint) = ONE.unpack().unwrap();
        assert_eq!(fs::read(checkpoint.join("config.json")).unwrap(), b"{}");
        drop(temporary);
        assert!(!checkpoint.exists());
    }
}
