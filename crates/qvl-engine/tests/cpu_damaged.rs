//! Packages whose files are not what they should be, for the engine `cpu`: an error that names file and tensor.
//!
//! The package is found whole first and changed then, so that each of the engine's own checks is met.

#![allow(clippy::unwrap_used, reason = "functions beside the tests are parts of them")]

mod common;

use std::fs;
use std::path::Path;

use common::{REFERENCE, options_of};
use prost::Message as _;
use qvl_engine::EngineChoice;
use qvl_export::{ExportOptions, NoProgress, Precision};
use qvl_onnx::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use qvl_package::{Graph, PackageDir};
use tempfile::TempDir;

const NORM: &str = "model.language_model.norm.weight";
const QUERY: &str = "model.language_model.layers.1.self_attn.q_proj.weight";
const DOWN: &str = "model.language_model.layers.0.mlp.down_proj.weight";

fn package(precision: Precision) -> (TempDir, PackageDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = ExportOptions { precision, ..ExportOptions::new(directory.path().join("package")) };
    qvl_export::export(&Path::new(REFERENCE).join("tiny/dense-untied"), &options, &NoProgress).unwrap();
    let package = PackageDir::open(&options.output).unwrap();
    (directory, package)
}

/// The error that opening `package` gives.
fn error(package: &PackageDir) -> String {
    let error = qvl_engine::open(package, &options_of(EngineChoice::Cpu)).map(|_| ()).unwrap_err().to_string();
    error.replace(&package.path().display().to_string(), "P")
}

/// The error after `change` was made to the text graph.
fn error_after(precision: Precision, change: impl FnOnce(&mut GraphProto)) -> String {
    let (_directory, package) = package(precision);
    let path = package.graph(Graph::Text);
    let mut model = ModelProto::read(&fs::read(&path).unwrap()).unwrap();
    change(model.graph.as_mut().unwrap());
    fs::write(path, model.encode_to_vec()).unwrap();
    error(&package)
}

fn tensor<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut TensorProto {
    graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap()
}

fn set_entry(tensor: &mut TensorProto, key: &str, value: &str) {
    tensor.external_data.iter_mut().find(|entry| entry.key == key).unwrap().value = value.to_owned();
}

#[test]
fn data_that_is_not_there_is_no_tensor() {
    let (_directory, package) = package(Precision::Fp32);
    let path = package.path().join(Graph::Text.data_file());
    fs::File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let text = error(&package);
    assert!(text.starts_with("P/text.onnx is not a graph of this kind of package: model.language_model."), "{text}");
    assert!(text.contains("does not lie inside text.onnx.data"), "{text}");
    fs::remove_file(&path).unwrap();
    assert!(error(&package).starts_with("cannot read P/text.onnx.data: "), "{}", error(&package));
}

#[test]
fn places_are_checked() {
    for (key, value, message) in [
        ("offset", "1099511627776", "it lies not"),
        ("offset", "18446744073709551615", "it lies not"),
        ("offset", "2", "it lies not"),
        ("offset", "-1", "has a malformed number"),
        ("length", "12", "has a length that does not agree with its shape"),
        ("location", "../../../etc/passwd", "in `../../../etc/passwd`, which is no plain file name"),
        ("location", "..", "in `..`, which is no plain file name"),
        ("location", "package.json", "does not lie inside package.json"),
    ] {
        let text = error_after(Precision::Fp32, |graph| set_entry(tensor(graph, NORM), key, value));
        let placed = format!("{NORM} does not lie inside text.onnx.data, or not on a boundary, at byte {value}");
        let message = if message == "it lies not" { &placed } else { message };
        assert!(text.starts_with("P/text.onnx is not a graph of this kind") && text.contains(message), "{text}");
    }
}

#[test]
fn shapes_and_types_are_those_of_the_configuration() {
    let text = error_after(Precision::Fp32, |graph| tensor(graph, DOWN).dims.reverse());
    assert!(
        text.starts_with(&format!("the engine cpu does not know the graph P/text.onnx: {DOWN} is float32 [")),
        "{text}"
    );
    assert!(
        text.contains("the configuration calls for float32 [") && text.ends_with("--engine ort may run it"),
        "{text}"
    );
    let text = error_after(Precision::Fp32, |graph| tensor(graph, NORM).data_type = Some(6));
    assert!(text.contains(&format!("{NORM} is int32 [")), "{text}");
    let text = error_after(Precision::Fp32, |graph| tensor(graph, NORM).data_type = Some(99));
    assert!(text.contains(&format!("{NORM} is of a type that it does not know [")), "{text}");
    let scales = format!("{QUERY}.scales");
    let text = error_after(Precision::Int4, |graph| tensor(graph, &scales).dims.push(1));
    assert!(text.contains(&format!("{scales} is float32 [")), "{text}");
}

#[test]
fn what_the_graph_has_beside_its_own_is_not_known() {
    let unknown = |precision, message: String, change: &dyn Fn(&mut GraphProto)| {
        let text = error_after(precision, change);
        let expected =
            format!("the engine cpu does not know the graph P/text.onnx: {message}; --engine ort may run it");
        assert_eq!(text, expected);
    };
    unknown(Precision::Fp32, format!("it does not store {NORM}"), &|graph| {
        graph.initializer.retain(|tensor| tensor.name != NORM);
    });
    unknown(Precision::Fp32, "it stores adapter.weight, which is no tensor of this model".into(), &|graph| {
        let more = TensorProto { name: "adapter.weight".into(), ..tensor(graph, NORM).clone() };
        graph.initializer.push(more);
    });
    unknown(Precision::Fp32, "its node `twist` is of the operator Roll".into(), &|graph| {
        graph.node.push(NodeProto { name: "twist".into(), op_type: "Roll".into(), ..NodeProto::default() });
    });
    unknown(Precision::Int4, format!("{QUERY} is in blocks of 48 values of 4 bits"), &|graph| {
        let node = graph.node.iter_mut().find(|node| node.input.get(1) == Some(&format!("{QUERY}.codes"))).unwrap();
        node.attribute.iter_mut().find(|attribute| attribute.name == "block_size").unwrap().i = Some(48);
    });
    unknown(Precision::Int4, format!("no node computes with {QUERY}.codes"), &|graph| {
        graph.node.retain(|node| node.input.get(1) != Some(&format!("{QUERY}.codes")));
    });
}

#[test]
fn bytes_that_are_no_graph_are_refused() {
    let (_directory, package) = package(Precision::Fp32);
    fs::write(package.graph(Graph::Embedding), b"no graph").unwrap();
    let text = error(&package);
    assert!(text.starts_with("P/embedding.onnx is not a graph of this kind of package: not an ONNX model"), "{text}");
}
