use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{MANIFEST, Manifest, PackageDir, PackageError};

/// Marks the directories in which packages are being written.
const STAGING_MARK: &str = ".qvl-partial-";

/// Held locked in a staging directory for as long as its writer lives.
const LOCK: &str = ".lock";

/// How often other writers may come in between.
const ATTEMPTS: usize = 16;

/// Tells apart the staging directories of one process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Where a package is to go, checked before anything is written.
#[derive(Debug, Clone)]
pub struct Target {
    path: PathBuf,
    parent: PathBuf,
    name: String,
    overwrite: bool,
}

impl Target {
    /// Checks that a package may be written at `path`: it is free, an empty directory or, with `overwrite`, a package.
    ///
    /// # Errors
    /// [`PackageError::Exists`] or [`PackageError::NotReplaceable`] if something is there that would be lost.
    pub fn new(path: &Path, overwrite: bool) -> Result<Self, PackageError> {
        let absolute = std::path::absolute(path).map_err(|e| PackageError::io(path, e))?;
        let not_a_name = || PackageError::io(path, io::Error::other("is not a directory name that can be made"));
        let name = absolute.file_name().and_then(|n| n.to_str()).ok_or_else(not_a_name)?.to_owned();
        let parent = absolute.parent().ok_or_else(not_a_name)?.to_path_buf();
        let target = Self { path: absolute, parent, name, overwrite };
        target.check()?;
        Ok(target)
    }

    /// Whether nothing is there now that would be lost.
    fn check(&self) -> Result<(), PackageError> {
        let path = &self.path;
        let found = match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(PackageError::io(path, e)),
            Ok(found) => found,
        };
        if PackageDir::is_own(path) {
            return if self.overwrite { Ok(()) } else { Err(PackageError::Exists { path: path.clone() }) };
        }
        let is_free = found.is_dir()
            && match fs::read_dir(path) {
                Ok(mut entries) => entries.next().is_none(),
                // Another writer took it away just now.
                Err(e) => e.kind() == io::ErrorKind::NotFound,
            };
        if is_free { Ok(()) } else { Err(PackageError::NotReplaceable { path: path.clone() }) }
    }
}

/// A package while it is written: a directory beside its target that takes the target's place when it is whole.
///
/// Dropped before [`Staging::publish`], it removes what was written. A writer that was killed leaves its directory
/// behind; the next one with the same target removes it.
#[derive(Debug)]
pub struct Staging {
    target: Target,
    directory: PathBuf,
    lock: Option<File>,
}

impl Staging {
    /// Makes the directory, and removes those of writers with the same target that were killed.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn create(target: Target) -> Result<Self, PackageError> {
        fs::create_dir_all(&target.parent).map_err(|e| PackageError::io(&target.parent, e))?;
        let prefix = format!(".{}{STAGING_MARK}", target.name);
        remove_abandoned(&target.parent, &prefix);
        for _ in 0..ATTEMPTS {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let directory = target.parent.join(format!("{prefix}{}-{serial}", std::process::id()));
            match fs::create_dir(&directory) {
                // A writer in another container may have the same process number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(|e| PackageError::io(&directory, e))?,
            }
            let mut staging = Self { target: target.clone(), directory, lock: None };
            if staging.take_lock()? {
                return Ok(staging);
            }
        }
        Err(PackageError::io(target.path, io::Error::other("other exports to this directory keep it busy")))
    }

    /// Locks the directory; not if another writer took it for abandoned, and away, before it was locked.
    fn take_lock(&mut self) -> Result<bool, PackageError> {
        let path = self.directory.join(LOCK);
        let lock = match File::create(&path).and_then(|file| file.lock().map(|()| file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(PackageError::io(path, error)),
            Ok(lock) => lock,
        };
        self.lock = Some(lock);
        Ok(path.is_file())
    }

    /// The directory to write into.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Writes the manifest, makes sure that every file is on the disk, and renames the directory into place.
    ///
    /// # Errors
    /// If a file cannot be flushed, the directory cannot be renamed, or something came to the target meanwhile that would be
    /// lost; the target is then as it was.
    pub fn publish(mut self, manifest: &Manifest) -> Result<PathBuf, PackageError> {
        let path = self.directory.join(MANIFEST);
        let text = serde_json::to_string_pretty(manifest)
            .map_err(|e| PackageError::Manifest { path: path.clone(), reason: e.to_string() })?;
        fs::write(&path, text + "\n").map_err(|e| PackageError::io(&path, e))?;
        for name in manifest.files.keys().map(String::as_str).chain([MANIFEST]) {
            let path = self.directory.join(name);
            File::open(&path).and_then(|f| f.sync_all()).map_err(|e| PackageError::io(&path, e))?;
        }
        // Elsewhere the lock is kept until the name has changed, so that nobody takes the directory for abandoned;
        // Windows does not rename a directory in which a file is open.
        if cfg!(windows) {
            self.lock = None;
        }
        self.replace_target()?;
        self.lock = None;
        let lock_path = self.target.path.join(LOCK);
        match fs::remove_file(&lock_path) {
            // Another writer has replaced the package already, and takes this one's directory away with its lock.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PackageError::io(lock_path, error)),
            _ => Ok(self.target.path.clone()),
        }
    }

    /// Gives the directory the target's name, whatever other writers do to the target meanwhile.
    fn replace_target(&self) -> Result<(), PackageError> {
        let (new, old) = (&self.directory, &self.target.path);
        let failed = |error| PackageError::io(old, error);
        let mut missing = io::ErrorKind::NotFound.into();
        for _ in 0..ATTEMPTS {
            match fs::rename(new, old) {
                Err(_) if old.is_dir() => {}
                done => return done.map_err(failed),
            }
            // An export takes long enough for somebody to have put something there.
            self.target.check()?;
            match swap(new, old) {
                // The target went away after it was seen.
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing = error,
                done => return done.map_err(failed),
            }
        }
        Err(failed(missing))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.lock = None;
        if let Err(error) = fs::remove_dir_all(&self.directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.directory.display(), %error, "an unfinished package could not be removed");
        }
    }
}

/// Exchanges two directories in one step, so that at every moment a whole package has the target's name.
///
/// The old one is then under the staging name and is removed when the [`Staging`] is dropped.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        // Some network and overlay file systems cannot exchange.
        Err(error) if error != rustix::io::Errno::NOENT => move_aside(new, old),
        done => Ok(done?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    move_aside(new, old)
}

/// Replaces a directory in two steps; killed in between, no package is there, which a second export mends.
fn move_aside(new: &Path, old: &Path) -> io::Result<()> {
    let mut aside = new.as_os_str().to_owned();
    aside.push("-old");
    let aside = PathBuf::from(aside);
    fs::rename(old, &aside)?;
    if let Err(error) = fs::rename(new, old) {
        fs::rename(&aside, old)?;
        return Err(error);
    }
    fs::remove_dir_all(&aside)
}

/// Whether a directory without a lock is what a killed writer left of an old package that it was removing.
///
/// A writer's first file is its lock, so other files without one are nobody's. An empty directory may have been made this
/// instant; it is removed all the same if it is still empty, and its writer, if there is one, makes another.
fn is_remainder(directory: &Path) -> bool {
    let has_files = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if !has_files {
        let _ = fs::remove_dir(directory);
        return false;
    }
    // Looked for after the files, because it was there before them.
    !directory.join(LOCK).exists()
}

/// Removes staging directories whose writer is gone: their lock can be taken.
fn remove_abandoned(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
            continue;
        }
        let directory = entry.path();
        let lock = File::open(directory.join(LOCK));
        let is_abandoned = match &lock {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(_) => is_remainder(&directory),
        };
        // The lock is held until all is gone: a writer that waits for it then sees that it has to begin anew.
        if is_abandoned && let Err(error) = fs::remove_dir_all(&directory) {
            tracing::warn!(path = %directory.display(), %error, "an abandoned package could not be removed");
        }
    }
}
