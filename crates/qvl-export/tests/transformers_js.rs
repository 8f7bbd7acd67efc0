//! The layout of transformers.js.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use qvl_export::{ExportError, ExportOptions, Layout, NoProgress, Precision, export};
use qvl_onnx::DataType;
use qvl_onnx::proto::{DimensionValue, GraphProto, ModelProto, TypeValue, ValueInfoProto};
use serde_json::{Value, json};
use tempfile::TempDir;

fn tiny(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny").join(name)
}

fn options(output: PathBuf, precision: Precision) -> ExportOptions {
    ExportOptions { layout: Layout::TransformersJs, precision, ..ExportOptions::new(output) }
}

fn exported(checkpoint: &str, precision: Precision) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    export(&tiny(checkpoint), &options(directory.path().join("p"), precision), &NoProgress).unwrap();
    directory
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn graph(folder: &Path, name: &str) -> GraphProto {
    let model = ModelProto::read(&fs::read(folder.join("p/onnx").join(name)).unwrap()).unwrap();
    let data = format!("{name}_data");
    assert!(model.external_tensors().all(|tensor| tensor.unwrap().location == data), "{name} needs another file");
    model.graph.unwrap()
}

fn element_type(values: &[ValueInfoProto], name: &str) -> i32 {
    let value = values.iter().find(|value| value.name == name).unwrap();
    let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        panic!("{name} is no tensor")
    };
    tensor.elem_type.unwrap()
}

#[test]
fn files_have_the_names_that_its_data_types_lead_to() {
    for (checkpoint, precision, [vision, embedding, text], dtypes) in [
        ("dense-tied", Precision::Fp32, ["", "", ""], ["fp32", "fp32", "fp32"]),
        ("dense-tied", Precision::Fp16, ["_fp16", "_fp16", "_fp16"], ["fp16", "fp16", "fp16"]),
        ("moe", Precision::Int8, ["_fp16", "_fp16", "_quantized"], ["fp16", "fp16", "q8"]),
        ("dense-tied", Precision::Int4, ["_fp16", "_quantized", "_q4"], ["fp16", "q8", "q4"]),
    ] {
        let directory = exported(checkpoint, precision);
        let found: BTreeSet<_> = fs::read_dir(directory.path().join("p/onnx"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let stems = [
            format!("vision_encoder{vision}.onnx"),
            format!("embed_tokens{embedding}.onnx"),
            format!("decoder_model_merged{text}.onnx"),
        ];
        let expected: BTreeSet<_> = stems.iter().flat_map(|stem| [stem.clone(), format!("{stem}_data")]).collect();
        assert_eq!(found, expected);
        let sessions = json!({
            "use_external_data_format": true,
            "dtype": { "vision_encoder": dtypes[0], "embed_tokens": dtypes[1], "decoder_model_merged": dtypes[2] },
        });
        assert_eq!(read_json(&directory.path().join("p/config.json"))["transformers.js_config"], sessions);
        for stem in &stems {
            graph(directory.path(), stem);
        }
    }
}

#[test]
fn graphs_take_and_give_what_it_has() {
    let directory = exported("dense-tied", Precision::Fp16);
    let (float, half) = (DataType::Float32.code(), DataType::Float16.code());
    let vision = graph(directory.path(), "vision_encoder_fp16.onnx");
    assert_eq!(element_type(&vision.input, "pixel_values"), float);
    assert_eq!(element_type(&vision.output, "image_features"), half);
    let embedding = graph(directory.path(), "embed_tokens_fp16.onnx");
    assert_eq!(embedding.input.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["input_ids"]);
    // It copies features into embeddings, element by element.
    assert_eq!(element_type(&embedding.output, "inputs_embeds"), half);

    let text = graph(directory.path(), "decoder_model_merged_fp16.onnx");
    let past = text.input.iter().find(|input| input.name == "past_key_values.0.key").unwrap();
    let Some(TypeValue::Tensor(tensor)) = past.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        panic!("the cache is no tensor")
    };
    let dims: Vec<_> = tensor.shape.as_ref().unwrap().dim.iter().filter_map(|dim| dim.value.clone()).collect();
    let names = ["batch_size", "past_length"].map(|name| DimensionValue::Param(name.into()));
    let [heads, size] = [2, 32].map(DimensionValue::Value);
    assert_eq!(dims, [names[0].clone(), heads, names[1].clone(), size]);
}

#[test]
fn settings_are_spelt_out() {
    let directory = exported("dense-tied", Precision::Fp32);
    let folder = directory.path().join("p");
    let settings = read_json(&folder.join("preprocessor_config.json"));
    for (key, value) in [
        ("processor_class", json!("Qwen3VLProcessor")),
        ("resample", json!(3)),
        ("do_rescale", json!(false)),
        ("do_normalize", json!(true)),
        ("image_mean", json!([127.5, 127.5, 127.5])),
        ("image_std", json!([127.5, 127.5, 127.5])),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    let original = read_json(&tiny("dense-tied").join("preprocessor_config.json"));
    assert_eq!(settings["size"], original["size"]);
    let template = fs::read_to_string(folder.join("chat_template.jinja")).unwrap();
    assert_eq!(read_json(&folder.join("tokenizer_config.json"))["chat_template"], template);
    assert!(!folder.join("genai_config.json").exists());

    let manifest = read_json(&folder.join("package.json"));
    assert_eq!(manifest["layout"], "transformers.js");
    for (name, file) in manifest["files"].as_object().unwrap() {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().len(), file["bytes"].as_u64().unwrap(), "{name}");
    }
}

#[test]
fn unusable_settings_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = directory.path().join("checkpoint");
    fs::create_dir(&checkpoint).unwrap();
    for entry in fs::read_dir(tiny("dense-tied")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), checkpoint.join(entry.file_name())).unwrap();
    }
    fs::write(checkpoint.join("preprocessor_config.json"), r#"{ "image_mean": [0.5, "half", 0.5] }"#).unwrap();
    let error = export(&checkpoint, &options(directory.path().join("p"), Precision::Fp32), &NoProgress).unwrap_err();
    assert!(matches!(error, ExportError::File { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("preprocessor_config.json: invalid type: string \"half\", expected f64"), "{message}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "something was left behind");
}
