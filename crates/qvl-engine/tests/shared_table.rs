//! Packages of many mixes on ONNX Runtime, and a token table that is stored once for both uses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{REFERENCE, assert_close, cosine, options};
use prost::Message as _;
use qvl_engine::Prefill;
use qvl_export::{ExportOptions, NoProgress, Precision};
use qvl_onnx::proto::{AttributeProto, ModelProto, TensorProto};
use qvl_package::{Graph, PackageDir};

const TABLE: &str = "model.language_model.embed_tokens.weight";

/// Exports the tiny checkpoint `name` to `directory`, with activations that are not rounded.
fn export(directory: &Path, name: &str, change: impl FnOnce(&mut ExportOptions)) -> PathBuf {
    let mut options = ExportOptions {
        precision: Precision::Int8,
        accuracy_level: 0,
        ..ExportOptions::new(directory.join("package"))
    };
    change(&mut options);
    options.overwrite = true;
    qvl_export::export(&Path::new(REFERENCE).join("tiny").join(name), &options, &NoProgress).unwrap().path
}

/// Logits after a prompt of text.
fn logits(package: &Path) -> Vec<f32> {
    let mut engine = qvl_engine::open(&PackageDir::open(package).unwrap(), &options()).unwrap();
    let token_ids: Vec<u32> = (0..12).map(|i| 5 + 97 * i).collect();
    let positions: Vec<[i64; 3]> = (0..token_ids.len() as i64).map(|i| [i; 3]).collect();
    let id = engine.open_sequence(token_ids.len()).unwrap();
    let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: None };
    engine.prefill(id, &prompt).unwrap().last().to_vec()
}

/// What the embedding graph's symmetric 8-bit table stands for, row by row.
fn table_values(package: &Path, model: &ModelProto) -> Vec<f32> {
    let data = fs::read(package.join(Graph::Embedding.data_file())).unwrap();
    let tensors: Vec<_> = model.external_tensors().map(Result::unwrap).collect();
    let bytes = |part: &str| {
        let tensor = tensors.iter().find(|tensor| tensor.name == format!("{TABLE}.{part}")).unwrap();
        &data[tensor.offset as usize..][..tensor.length as usize]
    };
    let (codes, scales) = (bytes("codes"), bytes("scales"));
    let block = codes.len() / (scales.len() / 4);
    let blocks = codes.chunks(block).zip(scales.chunks(4));
    let values = blocks.flat_map(|(codes, scale)| {
        let scale = f32::from_le_bytes(scale.try_into().unwrap());
        codes.iter().map(move |code| (f32::from(*code) - 128.0) * scale)
    });
    values.collect()
}

/// Replaces the quantised table by single-precision numbers inside the embedding graph's own file.
fn store_apart(package: &Path) {
    let path = package.join(Graph::Embedding.file());
    let mut model = ModelProto::read(&fs::read(&path).unwrap()).unwrap();
    let values = table_values(package, &model);
    let graph = model.graph.as_mut().unwrap();
    let dims = graph.initializer.iter().find(|tensor| tensor.name == format!("{TABLE}.codes")).unwrap().dims.clone();
    graph.initializer.push(TensorProto {
        dims,
        data_type: Some(1),
        name: "table".into(),
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        ..TensorProto::default()
    });
    let node = graph.node.iter_mut().find(|node| node.op_type == "GatherBlockQuantized").unwrap();
    node.op_type = "Gather".into();
    node.domain = String::new();
    node.input = vec!["table".into(), node.input[1].clone()];
    node.attribute =
        vec![AttributeProto { name: "axis".into(), i: Some(0), kind: Some(2), ..AttributeProto::default() }];
    fs::write(&path, model.encode_to_vec()).unwrap();

    let path = package.join("package.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["files"][Graph::Embedding.file()]["bytes"] = model.encoded_len().into();
    fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn a_shared_table_gives_the_logits_of_one_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let package = export(directory.path(), "dense-tied", |_| {});
    assert!(PackageDir::open(&package).unwrap().manifest().graphs["text"].shared.contains_key(TABLE));
    let shared = logits(&package);
    store_apart(&package);
    assert_close(&logits(&package), &shared, 1e-6, "the table is the same in single precision");
}

#[test]
fn every_mix_and_table_computes_almost_what_single_precision_does() {
    let directory = tempfile::tempdir().unwrap();
    let [int8, int4] = [Precision::Int8, Precision::Int4];
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        let exact = logits(&export(directory.path(), checkpoint, |options| options.precision = Precision::Fp32));
        for (precision, mix, table, symmetric, block_size) in [
            (int8, "auto", int8, true, 32),
            (int8, "auto", int8, false, 256),
            (int8, "*.layers.1.*=fp16,lm_head=fp32", int8, true, 16),
            (int4, "*.layers.*=int8,lm_head=fp16", Precision::Fp32, true, 32),
            (int4, "auto,*.self_attn.*=fp32,*.mlp.*=fp16", int8, false, 64),
            (Precision::Fp32, "auto", int8, true, 64),
            (Precision::Fp16, "auto", int8, false, 32),
        ] {
            let package = export(directory.path(), checkpoint, |options| {
                options.precision = precision;
                options.mix = mix.parse().unwrap();
                options.embedding_precision = Some(table);
                options.symmetric = symmetric;
                options.block_size = block_size;
            });
            let found = cosine(&exact, &logits(&package));
            println!("{checkpoint} {precision}, {mix}, table {table}: {found}");
            assert!(found > 0.97, "{checkpoint} {precision}, {mix}, table {table}: the logits' cosine is {found}");
        }
    }
}
