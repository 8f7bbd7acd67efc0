//! Packages made out of packages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message;
use qvl_export::{ExportError, ExportOptions, NoProgress, Precision, Progress, Stage, export, requantize};
use qvl_onnx::proto::{ModelProto, TensorProto};
use qvl_package::{Graph, Intermediate, Manifest, PackageDir};
use tempfile::TempDir;

const TABLE: &str = "model.language_model.embed_tokens.weight";

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(name)
}

fn options(output: &Path, precision: Precision) -> ExportOptions {
    ExportOptions { precision, ..ExportOptions::new(output) }
}

/// A tiny checkpoint's package, `p` in a directory of its own.
fn package(checkpoint: &Path, precision: Precision) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p");
    export(checkpoint, &options(&path, precision), &NoProgress).unwrap();
    (directory, path)
}

fn manifest(package: &Path) -> Manifest {
    PackageDir::open(package).unwrap().manifest().clone()
}

/// Every file but the manifest.
fn contents(package: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(package).unwrap().map(Result::unwrap);
    let files = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    files.filter(|(name, _)| name != "package.json").collect()
}

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn assert_same_files(a: &Path, b: &Path) {
    let (a, b) = (contents(a), contents(b));
    assert!(a.keys().eq(b.keys()), "{:?} and {:?}", a.keys(), b.keys());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
}

/// float32 holds all that bfloat16 does, so that nothing was lost on the way.
#[test]
fn from_single_precision_it_is_the_export_of_the_checkpoint() {
    for name in ["dense-tied", "dense-untied", "moe", "moe-resaved5x"] {
        let (directory, full) = package(&tiny(name), Precision::Fp32);
        for precision in [Precision::Fp32, Precision::Fp16, Precision::Int8, Precision::Int4] {
            let outputs = ["direct", "requantised"].map(|output| directory.path().join(output));
            let [direct, requantised] = outputs.each_ref().map(|output| ExportOptions {
                vision_precision: Some(precision),
                overwrite: true,
                ..options(output, precision)
            });
            export(&tiny(name), &direct, &NoProgress).unwrap();
            let report = requantize(&full, &requantised, &NoProgress).unwrap();
            assert_same_files(&outputs[0], &outputs[1]);
            let (mut direct, requantised) = (manifest(&outputs[0]), manifest(&outputs[1]));
            assert_eq!(report.graphs, direct.graphs);
            direct.source.via = vec![Intermediate {
                qvl_version: env!("CARGO_PKG_VERSION").to_owned(),
                precisions: Graph::ALL.map(|graph| (graph.name().to_owned(), Precision::Fp32)).into(),
            }];
            assert_eq!(direct, requantised);
        }
        assert_eq!(entries(directory.path()), ["direct", "p", "requantised"]);
    }
}

#[test]
fn from_half_precision_it_says_so() {
    for name in ["dense-tied", "dense-untied", "moe"] {
        let (directory, half) = package(&tiny(name), Precision::Fp16);
        let again = directory.path().join("again");
        requantize(&half, &options(&again, Precision::Fp16), &NoProgress).unwrap();
        assert_same_files(&half, &again);
        let small = directory.path().join("small");
        requantize(&again, &options(&small, Precision::Int4), &NoProgress).unwrap();
        let source = manifest(&small).source;
        assert_eq!((source.name.as_str(), &source.files), (name, &manifest(&half).source.files));
        let precisions = source.via.iter().map(|package| package.precisions["text"]);
        assert_eq!(precisions.collect::<Vec<_>>(), [Precision::Fp16; 2]);
        assert_eq!(manifest(&small).graphs["text"].precision, Precision::Int4);
    }
}

/// A copy of a tiny checkpoint.
fn copy(name: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(tiny(name)).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    directory
}

/// The flag says that the head is the table, but the checkpoint has one of its own.
#[test]
fn a_head_of_its_own_stays_so_whatever_the_flag_says() {
    let directory = copy("dense-untied");
    let config = directory.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")).unwrap();
    let (packages, full) = package(directory.path(), Precision::Fp32);
    assert!(PackageDir::open(&full).unwrap().config().tie_word_embeddings);
    let [direct, requantised] = ["direct", "requantised"].map(|output| packages.path().join(output));
    export(directory.path(), &options(&direct, Precision::Int8), &NoProgress).unwrap();
    requantize(&full, &options(&requantised, Precision::Int8), &NoProgress).unwrap();
    assert_same_files(&direct, &requantised);
}

#[test]
fn of_a_tied_table_the_more_exact_one_counts() {
    let (checkpoint, directory) = (faint_table(), tempfile::tempdir().unwrap());
    let direct = directory.path().join("direct");
    export(checkpoint.path(), &options(&direct, Precision::Int4), &NoProgress).unwrap();
    for (precision, table) in [(Precision::Fp32, Precision::Fp16), (Precision::Fp16, Precision::Fp32)] {
        let [mixed, requantised] = ["mixed", "requantised"].map(|output| directory.path().join(output));
        let choices = ExportOptions {
            embedding_precision: Some(table),
            vision_precision: Some(Precision::Fp32),
            overwrite: true,
            ..options(&mixed, precision)
        };
        export(checkpoint.path(), &choices, &NoProgress).unwrap();
        let choices = ExportOptions { overwrite: true, ..options(&requantised, Precision::Int4) };
        requantize(&mixed, &choices, &NoProgress).unwrap();
        assert!(table_of(&direct) == table_of(&requantised), "{precision}");
    }
    let (_half_directory, half) = package(checkpoint.path(), Precision::Fp16);
    let from_half = directory.path().join("from-half");
    requantize(&half, &options(&from_half, Precision::Int4), &NoProgress).unwrap();
    assert!(table_of(&direct) != table_of(&from_half), "float16 loses something of this table");
}

/// A checkpoint whose table begins with values that float16 does not know: bfloat16's 0x3089 is 1e-9.
fn faint_table() -> TempDir {
    let directory = copy("dense-tied");
    let path = directory.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header_length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_length]).unwrap();
    let start = 8 + header_length + header[TABLE]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[start..start + 2 * 128].copy_from_slice(&[0x89, 0x30].repeat(128));
    fs::write(&path, bytes).unwrap();
    directory
}

fn table_of(package: &Path) -> Vec<u8> {
    fs::read(package.join("embedding.onnx.data")).unwrap()
}

#[test]
fn a_package_may_take_its_own_place() {
    let (directory, path) = package(&tiny("dense-tied"), Precision::Fp32);
    let error = requantize(&path, &options(&path, Precision::Int4), &NoProgress).unwrap_err().to_string();
    assert!(error.ends_with("already holds a package; give --force to replace it"), "{error}");
    assert_eq!(manifest(&path).graphs["text"].precision, Precision::Fp32);
    let choices = ExportOptions { overwrite: true, ..options(&path, Precision::Int4) };
    requantize(&path, &choices, &NoProgress).unwrap();
    assert_eq!(manifest(&path).graphs["text"].precision, Precision::Int4);
    assert_eq!(entries(directory.path()), ["p"]);
}

/// Requantises `package`, which must fail and leave nothing, and gives the error.
fn error_of(package: &Path) -> String {
    let directory = tempfile::tempdir().unwrap();
    let choices = options(&directory.path().join("package"), Precision::Int4);
    let error = requantize(package, &choices, &NoProgress).unwrap_err().to_string();
    assert!(entries(directory.path()).is_empty(), "{error}");
    error
}

#[test]
fn a_quantised_package_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p");
    let choices = ExportOptions {
        vision_precision: Some(Precision::Int8),
        embedding_precision: Some(Precision::Fp16),
        ..options(&path, Precision::Int4)
    };
    export(&tiny("dense-tied"), &choices, &NoProgress).unwrap();
    let error = error_of(&path);
    assert!(error.contains("p is quantised already (vision int8, text int4)"), "{error}");
    assert!(error.ends_with("give an fp32 or fp16 package, or export the checkpoint"), "{error}");
}

#[test]
fn what_is_no_package_is_refused() {
    let error = error_of(&tiny("dense-tied"));
    assert!(error.contains("dense-tied is not a qvl package: it has no package.json"), "{error}");
}

#[test]
fn damage_is_named() {
    let (_directory, path) = package(&tiny("dense-tied"), Precision::Fp32);
    let data = path.join("text.onnx.data");
    let length = fs::metadata(&data).unwrap().len();
    fs::File::options().write(true).open(&data).unwrap().set_len(length - 1).unwrap();
    let error = error_of(&path);
    assert!(error.contains(&format!("text.onnx.data has {} bytes instead of {length}", length - 1)), "{error}");
    fs::remove_file(&data).unwrap();
    let error = error_of(&path);
    assert!(error.contains("text.onnx.data is missing"), "{error}");
}

/// Changes the text graph's stored tensors, and the file's size in the manifest with them.
fn edit_tensors(path: &Path, edit: impl FnOnce(&mut Vec<TensorProto>)) {
    let file = path.join("text.onnx");
    let mut model = ModelProto::read(&fs::read(&file).unwrap()).unwrap();
    edit(&mut model.graph.as_mut().unwrap().initializer);
    fs::write(&file, model.encode_to_vec()).unwrap();
    let manifest_path = path.join("package.json");
    let mut manifest: Manifest = serde_json::from_str(&fs::read_to_string(&manifest_path).unwrap()).unwrap();
    manifest.files.get_mut("text.onnx").unwrap().bytes = fs::metadata(&file).unwrap().len();
    fs::write(&manifest_path, serde_json::to_string(&manifest).unwrap()).unwrap();
}

fn tensor<'a>(tensors: &'a mut [TensorProto], name: &str) -> &'a mut TensorProto {
    tensors.iter_mut().find(|tensor| tensor.name.ends_with(name)).unwrap()
}

#[test]
fn tensors_that_are_not_those_of_the_configuration_are_listed() {
    let (_directory, path) = package(&tiny("dense-tied"), Precision::Fp16);
    edit_tensors(&path, |tensors| {
        tensor(tensors, "layers.0.mlp.up_proj.weight").dims.reverse();
        tensor(tensors, "layers.1.mlp.up_proj.weight").name = "adapter.weight".into();
        // Another type of the same size.
        let norm = tensor(tensors, "layers.2.input_layernorm.weight");
        norm.data_type = Some(6);
    });
    let error = error_of(&path);
    for part in [
        "text.onnx: model.language_model.layers.0.mlp.up_proj.weight is [256, 128], the configuration calls for [128, 256]",
        "text.onnx: model.language_model.layers.1.mlp.up_proj.weight is missing",
        "text.onnx: adapter.weight is no tensor of this model",
        "text.onnx: model.language_model.layers.2.input_layernorm.weight is stored neither as float32 nor as float16",
    ] {
        assert!(error.contains(part), "`{part}` in: {error}");
    }
    assert!(error.ends_with("; export the package again"), "{error}");
}

#[test]
fn many_problems_are_counted() {
    let (_directory, path) = package(&tiny("dense-tied"), Precision::Fp16);
    edit_tensors(&path, |tensors| tensors.retain(|tensor| tensor.data_location != Some(1) || tensor.name == TABLE));
    let error = error_of(&path);
    assert!(error.contains(".layers.0.self_attn.q_proj.weight is missing, "), "{error}");
    assert!(error.contains(" more problems; export the package again"), "{error}");
}

#[test]
fn stopped_in_any_stage_it_leaves_nothing() {
    struct StopAt(Stage, AtomicBool);
    impl Progress for StopAt {
        fn start(&self, stage: Stage, _bytes: u64) {
            self.1.store(stage == self.0, Ordering::Relaxed);
        }
        fn advance(&self, _bytes: u64) {}
        fn is_cancelled(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }
    let (_directory, path) = package(&tiny("dense-tied"), Precision::Fp32);
    for stage in [Stage::Unpack, Stage::Mix, Stage::Vision, Stage::Embedding, Stage::Text] {
        let directory = tempfile::tempdir().unwrap();
        let choices = options(&directory.path().join("package"), Precision::Int4);
        let result = requantize(&path, &choices, &StopAt(stage, AtomicBool::new(false)));
        assert!(matches!(result, Err(ExportError::Cancelled)), "{stage:?}: {result:?}");
        assert!(entries(directory.path()).is_empty());
    }
}
