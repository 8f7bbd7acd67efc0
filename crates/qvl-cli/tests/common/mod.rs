//! The program, tiny checkpoints and packages of them.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::LazyLock;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// The ONNX Runtime library, installed if need be.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| qvl::runtime::locate_or_install().unwrap().path);

/// A cache of the tests, so that they neither use nor fill the user's.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/qvl-cache");

/// The program with a clean environment.
pub fn std_qvl() -> process::Command {
    let mut command = process::Command::new(env!("CARGO_BIN_EXE_qvl"));
    command.env("ORT_DYLIB_PATH", &*LIBRARY).env("QVL_CACHE_DIR", CACHE);
    command.env_remove("QVL_YES").env_remove("QVL_LOG").env_remove("RUST_BACKTRACE");
    command
}

pub fn qvl() -> Command {
    Command::from_std(std_qvl())
}

/// A file of the reference.
pub fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference").join(path)
}

pub fn image(name: &str) -> PathBuf {
    reference("images").join(name)
}

/// The names in a directory, sorted.
pub fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A tiny checkpoint's package, in single precision.
pub fn package(checkpoint: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    qvl()
        .arg("export")
        .arg(reference("tiny").join(checkpoint))
        .arg("-o")
        .arg(directory.path().join("p"))
        .assert()
        .success();
    directory
}

/// A copy of a tiny checkpoint that a test may spoil.
pub fn checkpoint_copy(checkpoint: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(reference("tiny").join(checkpoint)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    directory
}

/// Changes a JSON file.
pub fn edit_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// A case of `golden/CHECKPOINT/index.json`.
pub fn golden(checkpoint: &str, name: &str) -> Value {
    let index = reference("golden").join(checkpoint).join("index.json");
    let index: Value = serde_json::from_str(&fs::read_to_string(index).unwrap()).unwrap();
    index["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap().clone()
}

/// Options that answer as the goldens were recorded.
pub const GREEDY: [&str; 4] = ["--no-sample", "--ignore-eos", "--max-new-tokens", "32"];

/// Runs `command` and reads the one object that it prints.
pub fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

/// Runs `command`, which must fail with `code` and say nothing on stdout; returns what it says on stderr.
pub fn failure(command: &mut Command, code: i32) -> String {
    let assert = command.assert().code(code).stdout("");
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}
