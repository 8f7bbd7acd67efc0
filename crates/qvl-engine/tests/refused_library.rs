//! A file that is no ONNX Runtime library is refused, and does no harm.

#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use common::{options, package};
use qvl_engine::EngineOptions;

// The only test of this program: a process loads the library once.
#[test]
fn a_named_file_that_is_no_library_is_refused_and_another_can_be_loaded() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "not a library").unwrap();
    let wrong = EngineOptions { ort_library: Some(file.path().to_path_buf()), ..options() };
    let error = qvl_engine::open(&package("dense-tied"), &wrong).err().unwrap().to_string();
    assert!(error.contains(&format!("{} (--ort-lib)", file.path().display())), "{error}");
    assert!(error.contains("`qvl runtime install`"), "{error}");

    qvl_engine::open(&package("dense-tied"), &options()).unwrap();
}
