//! The ONNX Runtime library: found or installed, loaded once, quiet.

#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{FP32, Kind, options, package, package_of_kind};
use qvl_engine::runtime::{self, RuntimeError, Source};
use qvl_engine::{Device, EngineError, EngineOptions};
use qvl_export::Precision;
use qvl_package::{Graph, PackageDir};
use tracing::{Event, Level, Metadata, Subscriber, field, span};

/// Keeps what ONNX Runtime says at level warning or worse.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == runtime::LOG_TARGET && *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut |field: &field::Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                self.0.lock().unwrap().push(format!("{value:?}"));
            }
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A copy of a package, to be damaged.
fn copy_of(package: &PackageDir) -> (tempfile::TempDir, PackageDir) {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(package.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    let copy = PackageDir::open(directory.path()).unwrap();
    (directory, copy)
}

#[test]
fn the_library_is_found_or_installed() {
    let library = runtime::locate_or_install().unwrap();
    assert!(library.path.is_absolute() && library.path.is_file(), "{library:?}");
    let named = runtime::locate(Some(&library.path)).unwrap();
    assert_eq!((named.path, named.source), (library.path.clone(), Source::Option));
    let directory = runtime::locate(library.path.parent()).unwrap();
    assert!(directory.path.is_file(), "a directory stands for the library in it: {directory:?}");
}

#[test]
fn packages_load_and_run_without_warnings() {
    let warnings = Warnings::default();
    let checkpoints = ["dense-tied", "dense-untied", "moe"];
    let precisions = [Precision::Fp32, Precision::Fp16, Precision::Int8, Precision::Int4];
    let kinds = checkpoints.iter().flat_map(|name| precisions.map(|precision| (*name, Kind { precision, ..FP32 })));
    tracing::subscriber::with_default(warnings.clone(), || {
        kinds.for_each(|(name, kind)| {
            let mut engine = qvl_engine::open(&package_of_kind(name, kind), &options()).unwrap();
            let patch = engine.config().vision.patch_len();
            engine.encode(&vec![0.1; 16 * patch], &[qvl_checkpoint::Grid { t: 1, h: 4, w: 4 }]).unwrap();
            let id = engine.open_sequence(1).unwrap();
            let prompt = qvl_engine::Prefill { token_ids: &[1, 2], positions: &[[0; 3], [1; 3]], features: None };
            engine.prefill(id, &prompt).unwrap();
            engine.decode(id, 3, 2).unwrap();
        })
    });
    let said = warnings.0.lock().unwrap();
    assert!(said.is_empty(), "{said:#?}");
}

#[test]
fn warnings_of_the_library_reach_tracing() {
    let (_directory, package) = copy_of(&package("dense-tied"));
    // Messages of protobuf are merged where they follow each other: this adds an initializer that no node reads, of
    // which ONNX Runtime warns.
    let mut tensor = b"\x08\x01\x10\x07\x42\x06unused\x4a\x08".to_vec();
    tensor.extend([0; 8]);
    let mut graph = fs::read(package.graph(Graph::Embedding)).unwrap();
    graph.extend([0x3a, tensor.len() as u8 + 2, 0x2a, tensor.len() as u8]);
    graph.extend(tensor);
    fs::write(package.graph(Graph::Embedding), graph).unwrap();

    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || qvl_engine::open(&package, &options()).map(drop)).unwrap();
    let said = warnings.0.lock().unwrap();
    assert!(said.iter().any(|message| message.contains("unused")), "{said:?}");
}

#[test]
fn a_graph_that_does_not_load_is_named() {
    let (directory, package) = copy_of(&package("dense-tied"));
    fs::write(package.graph(Graph::Embedding), "not a graph").unwrap();
    let error = qvl_engine::open(&package, &options()).err().unwrap();
    assert!(matches!(error, EngineError::Open { .. }), "{error}");
    assert!(error.to_string().contains("embedding.onnx"), "{error}");

    fs::copy(package.graph(Graph::Vision), package.graph(Graph::Embedding)).unwrap();
    fs::copy(directory.path().join("vision.onnx.data"), directory.path().join("embedding.onnx.data")).unwrap();
    let error = qvl_engine::open(&package, &options()).err().unwrap();
    assert!(matches!(error, EngineError::Contract { .. }), "{error}");
    assert!(error.to_string().contains("it has no tensor input `input_ids`"), "{error}");
}

#[test]
fn another_library_than_the_loaded_one_is_refused() {
    let options = options();
    qvl_engine::open(&package("dense-tied"), &options).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    let open = |path: &Path| {
        let options = EngineOptions { ort_library: Some(path.to_path_buf()), ..options.clone() };
        qvl_engine::open(&package("dense-tied"), &options).err().unwrap()
    };
    let error = open(other.path());
    assert!(matches!(error, EngineError::Runtime(RuntimeError::AlreadyLoaded { .. })), "{error}");
    let error = open(Path::new("/nowhere/libonnxruntime.so")).to_string();
    assert_eq!(error, "there is no ONNX Runtime library at /nowhere/libonnxruntime.so (named by --ort-lib)");
}

#[test]
fn a_device_that_the_library_lacks_is_refused() {
    for device in [Device::Cuda, Device::DirectMl, Device::OpenVino] {
        let options = EngineOptions { device, ..options() };
        // A build for the device may be what this machine has; then there is nothing to refuse.
        let Err(error) = qvl_engine::open(&package("dense-tied"), &options) else { continue };
        let text = error.to_string();
        assert!(text.contains(&format!("device {device}")), "{text}");
        if let EngineError::NoDevice { .. } = error {
            assert!(text.contains("ORT_DYLIB_PATH"), "{text}");
        }
    }
}
