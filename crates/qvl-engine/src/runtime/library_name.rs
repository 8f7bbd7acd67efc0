//! File names of the ONNX Runtime library on each operating system.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// A version of ONNX Runtime: major, minor, patch.
pub(super) type Version = [u32; 3];

/// The oldest version whose interface this program can use.
pub(super) const OLDEST: Version = [1, ort::MINOR_VERSION, 0];

/// How an operating system names shared libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// `libonnxruntime.so`, `libonnxruntime.so.1.31.1`
    Elf,
    /// `libonnxruntime.dylib`, `libonnxruntime.1.31.1.dylib`
    MachO,
    /// `onnxruntime.dll`
    Windows,
}

impl Naming {
    /// The naming of the system that this program runs on.
    pub(super) const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else if cfg!(target_vendor = "apple") {
        Self::MachO
    } else {
        Self::Elf
    };

    /// The name without a version.
    pub(super) fn plain(self) -> &'static str {
        match self {
            Self::Elf => "libonnxruntime.so",
            Self::MachO => "libonnxruntime.dylib",
            Self::Windows => "onnxruntime.dll",
        }
    }

    /// The version that `name` carries: `None` if it is no name of the library, `Some(None)` if it carries none.
    pub(super) fn parse(self, name: &str) -> Option<Option<Version>> {
        if name == self.plain() {
            return Some(None);
        }
        let digits = match self {
            Self::Elf => name.strip_prefix("libonnxruntime.so.")?,
            Self::MachO => name.strip_prefix("libonnxruntime.")?.strip_suffix(".dylib")?,
            Self::Windows => return None,
        };
        parse_version(digits).map(Some)
    }
}

/// Reads `1`, `1.31` or `1.31.1`. A lone major number, as of the link `libonnxruntime.so.1`, is unknown below that.
fn parse_version(digits: &str) -> Option<Version> {
    let mut version = [0; 3];
    let mut parts = digits.split('.');
    for number in &mut version {
        match parts.next() {
            Some(part) => *number = part.parse().ok()?,
            None => break,
        }
    }
    parts.next().is_none().then_some(version)
}

/// The version of the library at `path` as its file name tells it, links followed. `None` if the name does not say.
pub(super) fn version_of(path: &Path) -> Option<Version> {
    let real = fs::canonicalize(path).ok()?;
    let version = Naming::HERE.parse(real.file_name()?.to_str()?)??;
    // `libonnxruntime.so.1` that is no link says only that it is some 1.x.
    (version != [version[0], 0, 0]).then_some(version)
}

/// The newest library in `directory` that is not known to be too old.
pub(super) fn library_in(directory: &Path) -> Option<PathBuf> {
    fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(OsStr::to_str).and_then(|name| Naming::HERE.parse(name)).is_some())
        .filter(|path| path.is_file())
        .map(|path| (version_of(&path).unwrap_or(OLDEST), path))
        .filter(|(version, _)| *version >= OLDEST)
        .max()
        .map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_versions() {
        assert_eq!(Naming::Elf.parse("libonnxruntime.so"), Some(None));
        assert_eq!(Naming::Elf.parse("libonnxruntime.so.1.31.1"), Some(Some([1, 31, 1])));
        assert_eq!(Naming::Elf.parse("libonnxruntime.so.1"), Some(Some([1, 0, 0])));
        assert_eq!(Naming::MachO.parse("libonnxruntime.1.24.0.dylib"), Some(Some([1, 24, 0])));
        assert_eq!(Naming::Windows.parse("onnxruntime.dll"), Some(None));
    }

    #[test]
    fn other_names_are_not_the_library() {
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.1.2.3.4",
            "libonnxruntime.so.x",
            "onnxruntime.dll",
        ] {
            assert_eq!(Naming::Elf.parse(name), None, "{name}");
        }
        assert_eq!(Naming::Windows.parse("onnxruntime_providers_shared.dll"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn newest_fitting_library_of_a_directory_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert_eq!(library_in(directory.path()), None);
        for name in ["libonnxruntime.so.1.23.2", "libonnxruntime_providers_shared.so"] {
            fs::write(path(name), "").unwrap();
        }
        assert_eq!(library_in(directory.path()), None, "1.23 is too old");
        for name in ["libonnxruntime.so.1.24.4", "libonnxruntime.so.1.31.1", "libonnxruntime.so.1.4.0"] {
            fs::write(path(name), "").unwrap();
        }
        assert_eq!(library_in(directory.path()), Some(path("libonnxruntime.so.1.31.1")));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_judged_by_what_they_point_at() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join(Naming::HERE.plain());
        let old = directory.path().join(if Naming::HERE == Naming::Elf {
            "libonnxruntime.so.1.20.0"
        } else {
            "libonnxruntime.1.20.0.dylib"
        });
        fs::write(&old, "").unwrap();
        std::os::unix::fs::symlink(&old, &link).unwrap();
        assert_eq!(version_of(&link), Some([1, 20, 0]));
        assert_eq!(library_in(directory.path()), None);
    }
}
