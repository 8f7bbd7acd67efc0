//! Fetching the wheel with the package client that the user has, and so with the user's proxy, index and certificates.
//!
//! `npm` is none of them: its `onnxruntime-node` package has other builds and no 1.31.1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::pinned::{Build, VERSION};
use super::{command, python};

/// A package client that can fetch the wheel.
#[derive(Debug)]
pub(super) struct Client {
    /// What the user calls it.
    pub(super) name: String,
    program: PathBuf,
    /// Arguments that come before the client's own: an interpreter is told which module to run.
    prefix: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Pip,
    Uv,
}

/// What a client delivered.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A wheel, which is a zip archive.
    Wheel(PathBuf),
    /// The library, unpacked.
    Library(PathBuf),
}

/// The programs that are looked for, for messages.
pub(super) const LOOKED_FOR: &str = "pip of the active Python, pip3, uv";

/// The clients of this machine, in the order in which they are tried.
pub(super) fn clients() -> Vec<Client> {
    let modules = python::interpreters().into_iter().map(|program| Client {
        name: format!("{} -m pip", program.display()),
        program,
        prefix: vec!["-m".to_owned(), "pip".to_owned()],
        kind: Kind::Pip,
    });
    let programs = [("pip3", Kind::Pip), ("uv", Kind::Uv)];
    let programs = programs.into_iter().filter_map(|(name, kind)| {
        let program = command::find(name)?;
        Some(Client { name: name.to_owned(), program, prefix: Vec::new(), kind })
    });
    modules.chain(programs).filter(Client::works).collect()
}

impl Client {
    /// Whether the program starts; an interpreter need not have pip.
    fn works(&self) -> bool {
        self.run(&["--version"]).is_ok_and(|output| output.status.success())
    }

    fn run(&self, arguments: &[&str]) -> io::Result<Output> {
        let prefix = self.prefix.iter().map(String::as_str);
        command::run(&self.program, &prefix.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// Fetches the wheel of `build` into `directory`, which is empty.
    ///
    /// # Errors
    /// What the program said.
    pub(super) fn fetch(&self, build: &Build, directory: &Path) -> Result<Delivery, String> {
        let target = directory.to_str().ok_or("the cache directory's name is not Unicode")?;
        let requirement = format!("onnxruntime=={VERSION}");
        let mut arguments = match self.kind {
            Kind::Pip => pip_arguments(build, target),
            Kind::Uv => uv_arguments(build, target),
        };
        arguments.push(&requirement);
        let output = self.run(&arguments).map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(command::last_words(&output));
        }
        match self.kind {
            Kind::Pip => wheel_in(directory).map(Delivery::Wheel),
            Kind::Uv => Ok(Delivery::Library(directory.join("onnxruntime").join("capi").join(build.file))),
        }
    }
}

fn pip_arguments<'a>(build: &Build, target: &'a str) -> Vec<&'a str> {
    let mut arguments = vec![
        "download",
        "--no-input",
        "--disable-pip-version-check",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.12",
        "--implementation=cp",
        "--abi=cp312",
        "--dest",
        target,
    ];
    for tag in build.wheel_tags {
        arguments.extend(["--platform", tag]);
    }
    arguments
}

fn uv_arguments<'a>(build: &Build, target: &'a str) -> Vec<&'a str> {
    vec![
        "pip",
        "install",
        "--quiet",
        "--no-progress",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.12",
        "--python-platform",
        build.uv_platform,
        "--target",
        target,
    ]
}

fn wheel_in(directory: &Path) -> Result<PathBuf, String> {
    fs::read_dir(directory)
        .map_err(|e| e.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .ok_or_else(|| "it reported success and left no wheel".to_owned())
}

#[cfg(test)]
#[cfg(unix)]
impl Client {
    /// A client that is the shell script `script`, called as pip is, with `$DEST` set to the directory to fill.
    pub(super) fn script(directory: &Path, name: &str, script: &str) -> Self {
        let path = directory.join(name);
        let text = format!("while [ \"$1\" != --dest ]; do shift; done\nDEST=$2\n{script}\n");
        fs::write(&path, text).unwrap();
        let prefix = vec![path.to_str().unwrap().to_owned()];
        Self { name: name.to_owned(), program: PathBuf::from("/bin/sh"), prefix, kind: Kind::Pip }
    }
}
