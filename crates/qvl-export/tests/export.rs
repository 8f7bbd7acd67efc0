//! Exports of the tiny checkpoints.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use qvl_export::{ExportError, ExportOptions, Method, NoProgress, Precision, Progress, Stage, export};
use qvl_onnx::proto::{DimensionValue, ModelProto, TypeValue, ValueInfoProto};
use qvl_package::{Graph, PackageDir};

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(name)
}

fn options(output: &Path, precision: Precision) -> ExportOptions {
    ExportOptions { precision, ..ExportOptions::new(output) }
}

/// `name type[dims]` of an input or output.
fn describe(info: &ValueInfoProto) -> String {
    let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        panic!("{} is no tensor", info.name)
    };
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match &dim.value {
        Some(DimensionValue::Value(size)) => size.to_string(),
        Some(DimensionValue::Param(name)) => name.clone(),
        None => "?".into(),
    });
    format!("{} {}[{}]", info.name, tensor.elem_type.unwrap(), dims.collect::<Vec<_>>().join(", "))
}

fn contract(package: &Path, graph: Graph) -> (Vec<String>, Vec<String>) {
    let model = ModelProto::read(&fs::read(package.join(graph.file())).unwrap()).unwrap();
    let graph = model.graph.unwrap();
    (graph.input.iter().map(describe).collect(), graph.output.iter().map(describe).collect())
}

#[test]
fn every_tiny_checkpoint_becomes_a_whole_package() {
    for name in ["dense-tied", "dense-untied", "moe", "moe-resaved5x"] {
        for precision in [Precision::Fp32, Precision::Fp16] {
            let directory = tempfile::tempdir().unwrap();
            let output = directory.path().join("package");
            let report = export(&tiny(name), &options(&output, precision), &NoProgress).unwrap();
            let package = PackageDir::open(&output).unwrap();
            assert_eq!(package.manifest().source.name, name);
            assert!(package.manifest().source.files["model.safetensors"].sha256.as_ref().unwrap().len() == 64);
            let listed: u64 = package.manifest().files.values().map(|file| file.bytes).sum();
            assert_eq!(listed, report.bytes);
            let found = fs::read_dir(&output).unwrap().count();
            assert_eq!(found, package.manifest().files.len() + 1, "the manifest lists all other files");
        }
    }
}

#[test]
fn the_graphs_keep_their_contracts() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("package");
    let choices = ExportOptions { vision_precision: Some(Precision::Fp32), ..options(&output, Precision::Fp16) };
    export(&tiny("dense-tied"), &choices, &NoProgress).unwrap();
    let (inputs, outputs) = contract(&output, Graph::Vision);
    assert_eq!(inputs, ["pixel_values 1[patches, 1536]", "image_grid_thw 7[images, 3]"]);
    assert_eq!(outputs, ["image_features 10[features, 512]"]);
    let (inputs, outputs) = contract(&output, Graph::Embedding);
    assert_eq!(inputs, ["input_ids 7[batch_size, sequence]", "image_features 10[features, 512]"]);
    assert_eq!(outputs, ["inputs_embeds 10[batch_size, sequence, 512]"]);
    let (inputs, outputs) = contract(&output, Graph::Text);
    assert_eq!(
        inputs[..3],
        [
            "inputs_embeds 10[batch_size, sequence, 512]",
            "attention_mask 7[batch_size, total_length]",
            "position_ids 7[3, batch_size, sequence]",
        ]
    );
    assert_eq!(inputs[3], "past_key_values.0.key 10[batch_size, 2, past_length, 32]");
    assert_eq!(outputs[0], "present.0.key 10[batch_size, 2, present_length, 32]");
    assert_eq!(outputs.last().unwrap(), "logits 10[batch_size, 1, 1280]");

    export(&tiny("dense-tied"), &ExportOptions { all_logits: true, overwrite: true, ..choices }, &NoProgress).unwrap();
    assert_eq!(contract(&output, Graph::Text).1.last().unwrap(), "logits 10[batch_size, sequence, 1280]");
}

#[test]
fn quantised_packages_say_how_they_were_made() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("package");
    let choices = ExportOptions {
        block_size: 64,
        symmetric: false,
        method: Method::Rtn,
        mix: "lm_head=int8".parse().unwrap(),
        ..options(&output, Precision::Int4)
    };
    let report = export(&tiny("dense-untied"), &choices, &NoProgress).unwrap();
    let package = PackageDir::open(&output).unwrap();
    let mut text = serde_json::to_value(&package.manifest().graphs["text"]).unwrap();
    let errors = text["quantization"].as_object_mut().unwrap().remove("relative_error").unwrap();
    assert!(errors["model.language_model.layers.0.mlp.up_proj.weight"].as_f64().unwrap() > 1e-3, "{errors}");
    assert!(errors["lm_head.weight"].as_f64().unwrap() < 1e-4, "{errors}");
    let quantization = serde_json::json!({
        "method": "rtn", "block_size": 64, "symmetric": false, "accuracy_level": 4, "mix": { "lm_head.weight": "int8" },
    });
    assert_eq!(text, serde_json::json!({ "precision": "int4", "quantization": quantization, "logits": "last" }));
    let others = ["vision", "embedding"].map(|graph| package.manifest().graphs[graph].precision);
    assert_eq!(others, [Precision::Fp16; 2]);
    let (inputs, outputs) = contract(&output, Graph::Text);
    assert_eq!(inputs[3], "past_key_values.0.key 1[batch_size, 2, past_length, 32]");
    assert_eq!(outputs.last().unwrap(), "logits 1[batch_size, 1, 1280]");

    let half = ExportOptions { overwrite: true, ..options(&output, Precision::Fp16) };
    assert!(report.bytes < export(&tiny("dense-untied"), &half, &NoProgress).unwrap().bytes);
}

#[test]
fn every_tiny_checkpoint_can_be_quantised() {
    for name in ["dense-tied", "dense-untied", "moe", "moe-resaved5x"] {
        for precision in [Precision::Int8, Precision::Int4] {
            let directory = tempfile::tempdir().unwrap();
            let output = directory.path().join("package");
            let vision_precision = Some(precision);
            export(&tiny(name), &ExportOptions { vision_precision, ..options(&output, precision) }, &NoProgress)
                .unwrap();
            PackageDir::open(&output).unwrap();
        }
    }
}

#[test]
fn impossible_blocks_are_refused() {
    for size in [0, 8, 48, 512] {
        let directory = tempfile::tempdir().unwrap();
        let choices = ExportOptions { block_size: size, ..options(&directory.path().join("package"), Precision::Int4) };
        let error = export(&tiny("dense-tied"), &choices, &NoProgress).unwrap_err().to_string();
        assert_eq!(error, format!("a block size of {size} is not possible; use a power of two from 16 to 256"));
    }
}

#[test]
fn both_expert_layouts_give_the_same_package() {
    let directory = tempfile::tempdir().unwrap();
    let outputs = ["moe", "moe-resaved5x"].map(|name| {
        let output = directory.path().join(name);
        export(&tiny(name), &options(&output, Precision::Fp16), &NoProgress).unwrap();
        fs::read(output.join("text.onnx.data")).unwrap()
    });
    assert!(outputs[0] == outputs[1]);
}

#[test]
fn a_stopped_export_leaves_nothing() {
    struct Stopped;
    impl Progress for Stopped {
        fn start(&self, _stage: Stage, _bytes: u64) {}
        fn advance(&self, _bytes: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let result = export(&tiny("dense-tied"), &options(&directory.path().join("package"), Precision::Fp32), &Stopped);
    assert!(matches!(result, Err(ExportError::Cancelled)), "{result:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_missing_tokenizer_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = directory.path().join("checkpoint");
    fs::create_dir(&checkpoint).unwrap();
    for entry in fs::read_dir(tiny("dense-tied")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "tokenizer.json" {
            fs::copy(entry.path(), checkpoint.join(entry.file_name())).unwrap();
        }
    }
    let error =
        export(&checkpoint, &options(&directory.path().join("package"), Precision::Fp32), &NoProgress).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json is missing; take it from the model's repository"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
