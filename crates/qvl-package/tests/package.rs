//! Opening damaged packages, and replacing whole ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use qvl_onnx::proto::{AttributeProto, GraphProto, NodeProto};
use qvl_onnx::{DataType, GraphBuilder, WeightSource, shape};
use qvl_package::{FileInfo, Graph, GraphInfo, Layout, Manifest, PackageDir, Precision, SourceInfo, Staging, Target};

struct Ones;

impl WeightSource for Ones {
    fn fill(&self, _rows: Range<usize>, outputs: &mut [&mut [u8]]) -> Result<(), String> {
        outputs[0].fill(1);
        Ok(())
    }
}

const CONFIG: &str = include_str!("../../../reference/tiny/dense-tied/config.json");

/// Writes a package of three graphs that do nothing; `mark` tells one from another.
fn write_package(path: &Path, overwrite: bool, mark: &str) -> Result<PathBuf, qvl_package::PackageError> {
    fill(Staging::create(Target::new(path, overwrite)?)?, mark)
}

fn fill(staging: Staging, mark: &str) -> Result<PathBuf, qvl_package::PackageError> {
    fs::write(staging.path().join("config.json"), CONFIG).unwrap();
    for graph in Graph::ALL {
        let mut g = GraphBuilder::new();
        let x = g.input("x", DataType::Float32, shape![1]).unwrap();
        g.weight("w", DataType::Float32, &[3000], Ones).unwrap();
        g.output("y", &x).unwrap();
        let files = (staging.path().join(graph.file()), staging.path().join(graph.data_file()));
        g.finish("test").write(&files.0, &files.1, &|_| true).unwrap();
    }
    let info = |name: String| {
        let bytes = fs::metadata(staging.path().join(&name)).unwrap().len();
        (name, FileInfo { bytes, sha256: None })
    };
    let graphs = Graph::ALL.iter().map(|g| {
        (
            g.name().to_owned(),
            GraphInfo { precision: Precision::Fp32, quantization: None, shared: BTreeMap::new(), logits: None },
        )
    });
    let names = Graph::ALL.iter().flat_map(|g| [g.file(), g.data_file()]).chain(["config.json"]).map(str::to_owned);
    let manifest = Manifest {
        format_version: Manifest::FORMAT_VERSION,
        qvl_version: "test".into(),
        layout: Layout::Package,
        source: SourceInfo {
            name: mark.into(),
            model_type: "qwen3_vl".into(),
            files: Default::default(),
            via: Vec::new(),
        },
        graphs: graphs.collect(),
        files: names.map(info).collect(),
    };
    staging.publish(&manifest)
}

fn package() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("package");
    write_package(&path, false, "first").unwrap();
    (directory, path)
}

fn error_of(path: &Path) -> String {
    PackageDir::open(path).unwrap_err().to_string()
}

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_whole_package_opens() {
    let (_directory, path) = package();
    let package = PackageDir::open(&path).unwrap();
    assert_eq!(package.config().text.num_hidden_layers, 4);
    assert_eq!(package.manifest().source.name, "first");
    assert!(!entries(&path).contains(&".lock".to_owned()));
}

#[test]
fn the_layout_of_transformers_js_is_recognised_and_not_opened() {
    let (_directory, path) = package();
    let manifest = path.join("package.json");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(!text.contains("layout"), "a package does not say that it is one");
    fs::write(&manifest, text.replacen('{', "{ \"layout\": \"transformers.js\",", 1)).unwrap();
    let error = error_of(&path);
    assert!(error.contains("has the layout of transformers.js, which qvl writes but does not open"), "{error}");
    Target::new(&path, true).unwrap();
}

#[test]
fn what_killed_writers_left_is_removed_in_any_state() {
    let (_directory, path) = package();
    let staging = Staging::create(Target::new(&path, true).unwrap()).unwrap();
    let name = staging.path().file_name().unwrap().to_str().unwrap().to_owned();
    let parent = path.parent().unwrap();
    // Killed before the lock was made, and while an old package was removed.
    let [empty, remainder] = ["8", "9"].map(|end| parent.join(format!("{name}{end}")));
    fs::create_dir(&empty).unwrap();
    fs::create_dir(&remainder).unwrap();
    fs::write(remainder.join("text.onnx"), "").unwrap();
    let other = Staging::create(Target::new(&path, true).unwrap()).unwrap();
    assert!(!empty.exists() && !remainder.exists());
    assert!(staging.path().is_dir() && other.path().is_dir(), "the living are left alone");
}

#[test]
fn a_package_json_of_others_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let npm = directory.path().join("npm");
    fs::create_dir(&npm).unwrap();
    for text in [r#"{"name": "mine", "version": "1.0.0"}"#, r#"{"format_version": 1, "name": "mine"}"#, "not JSON"] {
        fs::write(npm.join("package.json"), text).unwrap();
        let error = Target::new(&npm, true).unwrap_err().to_string();
        assert!(error.contains("exists and is not a qvl package"), "{error}");
    }
    let (_directory, path) = package();
    Target::new(&path, true).unwrap();
}

#[test]
fn something_else_is_not_a_package() {
    let directory = tempfile::tempdir().unwrap();
    let error = error_of(directory.path());
    assert!(error.ends_with("it has no package.json; make one with `qvl export CHECKPOINT -o DIR`"), "{error}");
    let error = error_of(&directory.path().join("nowhere"));
    assert!(error.contains("nowhere: No such file"), "{error}");
}

#[test]
fn all_damage_is_listed() {
    let (_directory, path) = package();
    fs::remove_file(path.join("text.onnx.data")).unwrap();
    fs::OpenOptions::new().write(true).open(path.join("vision.onnx.data")).unwrap().set_len(100).unwrap();
    let error = error_of(&path);
    assert!(error.contains("text.onnx.data is missing, vision.onnx.data has 100 bytes instead of 12000"), "{error}");
    assert!(error.ends_with("; export it again"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    let (directory, path) = package();
    fs::rename(path.join("text.onnx.data"), directory.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", path.join("text.onnx.data")).unwrap();
    let error = error_of(&path);
    assert!(error.contains("text.onnx.data is not a plain file"), "{error}");
}

/// Changes a graph's file, and its size in the manifest with it.
fn edit_graph(path: &Path, edit: impl FnOnce(&mut qvl_onnx::proto::ModelProto)) {
    use prost::Message;
    let file = path.join("text.onnx");
    let mut model = qvl_onnx::proto::ModelProto::read(&fs::read(&file).unwrap()).unwrap();
    edit(&mut model);
    fs::write(&file, model.encode_to_vec()).unwrap();
    let manifest_path = path.join("package.json");
    let mut manifest: Manifest = serde_json::from_str(&fs::read_to_string(&manifest_path).unwrap()).unwrap();
    manifest.files.get_mut("text.onnx").unwrap().bytes = fs::metadata(&file).unwrap().len();
    fs::write(&manifest_path, serde_json::to_string(&manifest).unwrap()).unwrap();
}

#[test]
fn weights_outside_the_package_are_refused() {
    let (_directory, path) = package();
    edit_graph(&path, |model| {
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        tensor.external_data.iter_mut().find(|e| e.key == "location").unwrap().value = "../../etc/passwd".into();
    });
    let error = error_of(&path);
    assert!(error.contains("text.onnx: w is stored in `../../etc/passwd`, not in text.onnx.data"), "{error}");
}

#[test]
fn weights_that_are_no_initializers_are_refused() {
    let (_directory, path) = package();
    edit_graph(&path, |model| {
        let graph = model.graph.as_mut().unwrap();
        let body = GraphProto { initializer: graph.initializer.clone(), ..GraphProto::default() };
        let attribute = vec![AttributeProto { g: Some(body), ..AttributeProto::default() }];
        graph.node.push(NodeProto { attribute, ..NodeProto::default() });
    });
    let error = error_of(&path);
    assert!(error.contains("text.onnx: it has tensors in the graph of a node, where qvl puts none"), "{error}");
}

/// Moves the text graph's tensor to another place.
fn move_weight(path: &Path, location: &str, offset: u64) {
    edit_graph(path, |model| {
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        for entry in &mut tensor.external_data {
            match entry.key.as_str() {
                "location" => location.clone_into(&mut entry.value),
                "offset" => entry.value = offset.to_string(),
                _ => {}
            }
        }
    });
}

#[test]
fn a_tensor_may_lie_in_another_graphs_file_if_the_manifest_says_so_and_it_is_the_same() {
    let (_directory, path) = package();
    move_weight(&path, "embedding.onnx.data", 0);
    let error = error_of(&path);
    assert!(error.contains("text.onnx: w is stored in `embedding.onnx.data`, not in text.onnx.data"), "{error}");

    let manifest_path = path.join("package.json");
    let mut manifest: Manifest = serde_json::from_str(&fs::read_to_string(&manifest_path).unwrap()).unwrap();
    manifest.graphs.get_mut("text").unwrap().shared.insert("w".into(), "embedding".into());
    fs::write(&manifest_path, serde_json::to_string(&manifest).unwrap()).unwrap();
    PackageDir::open(&path).unwrap();

    move_weight(&path, "embedding.onnx.data", 4);
    let error = error_of(&path);
    assert!(error.contains("text.onnx: w is not where embedding.onnx has it"), "{error}");
    move_weight(&path, "vision.onnx.data", 0);
    let error = error_of(&path);
    assert!(error.contains("text.onnx: w is stored in `vision.onnx.data`, not in text.onnx.data"), "{error}");
}

#[test]
fn weights_beyond_the_file_are_refused() {
    let (_directory, path) = package();
    edit_graph(&path, |model| {
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        tensor.external_data.iter_mut().find(|e| e.key == "offset").unwrap().value = u64::MAX.to_string();
    });
    let error = error_of(&path);
    assert!(error.contains("text.onnx: w ends beyond text.onnx.data"), "{error}");
}

#[test]
fn a_manifest_names_files_inside_only() {
    let (_directory, path) = package();
    let manifest_path = path.join("package.json");
    let mut manifest: Manifest = serde_json::from_str(&fs::read_to_string(&manifest_path).unwrap()).unwrap();
    manifest.files.insert("../config.json".into(), FileInfo { bytes: 1, sha256: None });
    fs::write(&manifest_path, serde_json::to_string(&manifest).unwrap()).unwrap();
    let error = error_of(&path);
    assert!(error.contains("`../config.json` is not a plain file name"), "{error}");
}

#[test]
fn a_manifest_lists_the_configuration() {
    let (_directory, path) = package();
    let manifest_path = path.join("package.json");
    let text = fs::read_to_string(&manifest_path).unwrap().replace("\"config.json\"", "\"notes.json\"");
    fs::write(&manifest_path, text).unwrap();
    let error = error_of(&path);
    assert!(error.contains("`files` does not list config.json"), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let (_directory, path) = package();
    fs::write(path.join("package.json"), r#"{"format_version": 99}"#).unwrap();
    let error = error_of(&path);
    assert!(error.ends_with("package format 99 is newer than this program's (1); use a newer qvl"), "{error}");
}

#[test]
fn a_package_is_replaced_only_on_demand() {
    let (directory, path) = package();
    let error = write_package(&path, false, "second").unwrap_err().to_string();
    assert!(error.ends_with("already holds a package; give --force to replace it"), "{error}");
    write_package(&path, true, "second").unwrap();
    assert_eq!(PackageDir::open(&path).unwrap().manifest().source.name, "second");
    assert_eq!(entries(directory.path()), ["package"]);
}

#[test]
fn nothing_else_is_ever_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("photos");
    fs::create_dir(&path).unwrap();
    write_package(&path, false, "in an empty directory").unwrap();
    let other = directory.path().join("more photos");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("cat.jpg"), "meow").unwrap();
    let error = write_package(&other, true, "over photos").unwrap_err().to_string();
    assert!(error.contains("is not a qvl package; choose another directory"), "{error}");
    assert_eq!(entries(&other), ["cat.jpg"]);
}

#[test]
fn what_came_to_the_target_meanwhile_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("package");
    for overwrite in [false, true] {
        let staging = Staging::create(Target::new(&path, overwrite).unwrap()).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("thesis.txt"), "all of it").unwrap();
        let error = fill(staging, "over a thesis").unwrap_err().to_string();
        assert!(error.contains("is not a qvl package; choose another directory"), "{error}");
        assert_eq!(entries(&path), ["thesis.txt"]);
        fs::remove_dir_all(&path).unwrap();
    }
    let staging = Staging::create(Target::new(&path, false).unwrap()).unwrap();
    write_package(&path, false, "the quicker one").unwrap();
    let error = fill(staging, "the slower one").unwrap_err().to_string();
    assert!(error.ends_with("already holds a package; give --force to replace it"), "{error}");
    assert_eq!(PackageDir::open(&path).unwrap().manifest().source.name, "the quicker one");
    assert_eq!(entries(directory.path()), ["package"]);
}

#[test]
fn names_that_writers_elsewhere_took_are_passed_over() {
    let (_directory, path) = package();
    let first = Staging::create(Target::new(&path, true).unwrap()).unwrap();
    let (prefix, serial) = first.path().to_str().unwrap().rsplit_once('-').unwrap();
    let serial: u64 = serial.parse().unwrap();
    let taken: Vec<_> = (1..8).map(|more| format!("{prefix}-{}", serial + more)).collect();
    let lock = |directory: &String| {
        fs::create_dir(directory).unwrap();
        let lock = fs::File::create(Path::new(directory).join(".lock")).unwrap();
        lock.lock().unwrap();
        lock
    };
    let _locks: Vec<_> = taken.iter().map(lock).collect();
    write_package(&path, true, "second").unwrap();
    assert!(taken.iter().all(|directory| Path::new(directory).is_dir()));
}

#[test]
fn what_a_killed_writer_left_is_removed_and_a_living_one_kept() {
    let (directory, path) = package();
    let abandoned = directory.path().join(".package.qvl-partial-1-0");
    fs::create_dir(&abandoned).unwrap();
    fs::write(abandoned.join(".lock"), "").unwrap();
    let living = Staging::create(Target::new(&path, true).unwrap()).unwrap();
    assert!(!abandoned.exists());
    write_package(&path, true, "second").unwrap();
    assert!(living.path().exists());
    let living_path = living.path().to_path_buf();
    drop(living);
    assert!(!living_path.exists());
    assert_eq!(PackageDir::open(&path).unwrap().manifest().source.name, "second");
}

/// Lets four writers replace the package at `path` five times each.
fn write_at_once(path: &Path) {
    std::thread::scope(|scope| {
        for i in 0..4 {
            scope.spawn(move || {
                for _ in 0..5 {
                    write_package(path, true, &format!("writer {i}")).unwrap();
                }
            });
        }
    });
}

#[test]
fn exports_to_one_target_at_once_leave_one_whole_package() {
    for has_package in [true, false, true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("package");
        if has_package {
            write_package(&path, false, "first").unwrap();
        }
        write_at_once(&path);
        PackageDir::open(&path).unwrap();
        assert_eq!(entries(directory.path()), ["package"]);
        assert!(!entries(&path).contains(&".lock".to_owned()));
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
#[test]
fn a_package_that_is_replaced_is_there_at_every_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("package");
    write_package(&path, false, "first").unwrap();
    std::thread::scope(|scope| {
        let writers = scope.spawn(|| write_at_once(&path));
        while !writers.is_finished() {
            assert!(path.join("package.json").is_file());
        }
    });
}
