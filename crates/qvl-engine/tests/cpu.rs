//! The engine `cpu` on packages of every kind, beside ONNX Runtime and beside itself in single precision.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "functions beside the tests are parts of them")]

mod common;

use std::path::Path;

use common::{REFERENCE, cosine, difference, options, options_of};
use qvl_engine::{Device, EngineChoice, EngineOptions, KvPrecision, Prefill};
use qvl_export::{ExportOptions, NoProgress, Precision};
use qvl_package::PackageDir;

/// Exports the tiny checkpoint `name`.
fn export(directory: &Path, name: &str, change: impl FnOnce(&mut ExportOptions)) -> PackageDir {
    let mut options = ExportOptions { overwrite: true, ..ExportOptions::new(directory.join("package")) };
    change(&mut options);
    let checkpoint = Path::new(REFERENCE).join("tiny").join(name);
    qvl_export::export(&checkpoint, &options, &NoProgress).unwrap();
    PackageDir::open(&options.output).unwrap()
}

/// Logits after a prompt of text and after each of three tokens behind it.
fn logits(package: &PackageDir, options: &EngineOptions) -> Vec<f32> {
    let mut engine = qvl_engine::open(package, options).unwrap();
    let token_ids: Vec<u32> = (0..12).map(|i| 5 + 97 * i).collect();
    let positions: Vec<[i64; 3]> = (0..12).map(|i| [i; 3]).collect();
    let id = engine.open_sequence(token_ids.len()).unwrap();
    let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: None };
    let mut all = engine.prefill(id, &prompt).unwrap().last().to_vec();
    for (token, position) in [(7, 12), (300, 13), (1100, 14)] {
        all.extend(engine.decode(id, token, position).unwrap().last());
    }
    all
}

fn fast() -> EngineOptions {
    EngineOptions { precise: false, ..options_of(EngineChoice::Cpu) }
}

/// A package whose products keep their activations, on both engines: the logits, which spread over about ten to either
/// side, are the same but for rounding in single precision.
#[test]
fn every_form_of_blocks_computes_what_onnx_runtime_does() {
    let directory = tempfile::tempdir().unwrap();
    let [int8, int4] = [Precision::Int8, Precision::Int4];
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        for (precision, mix, table, symmetric, block_size) in [
            (int8, "auto", int8, true, 32),
            (int8, "auto", int8, false, 256),
            (int4, "auto", int8, false, 16),
            (int4, "*=int4", int4, true, 128),
            (int4, "*.layers.*=int8,lm_head=fp16", Precision::Fp32, true, 32),
            (int4, "auto,*.self_attn.*=fp32,*.mlp.*=fp16", int8, false, 64),
            (Precision::Fp32, "auto", int8, true, 64),
        ] {
            let package = export(directory.path(), checkpoint, |options| {
                options.precision = precision;
                options.mix = mix.parse().unwrap();
                options.embedding_precision = Some(table);
                options.symmetric = symmetric;
                options.block_size = block_size;
                options.accuracy_level = 0;
            });
            let (expected, found) = (logits(&package, &options()), logits(&package, &options_of(EngineChoice::Cpu)));
            let (difference, cosine) = (difference(&found, &expected), cosine(&found, &expected));
            println!("{checkpoint} {precision}, {mix}, table {table}: {difference}, cosine {cosine}");
            // ONNX Runtime rounds what goes into experts of 8 bits to int8 in any case.
            let rounds = checkpoint == "moe" && (precision == int8 || mix.contains("=int8"));
            assert!(if rounds { cosine > 0.999 } else { difference < 2e-4 }, "{checkpoint} {precision}, {mix}");
        }
    }
}

/// Random weights forgive no rounding, least of all where it sends a row to other experts; so ONNX Runtime's rounding of the
/// same activations is the measure.
#[test]
fn rounded_activations_cost_what_they_cost_onnx_runtime() {
    let directory = tempfile::tempdir().unwrap();
    for checkpoint in ["dense-tied", "dense-untied", "moe"] {
        for precision in [Precision::Int8, Precision::Int4] {
            let package = export(directory.path(), checkpoint, |options| options.precision = precision);
            let precise = logits(&package, &options_of(EngineChoice::Cpu));
            let (fast, ort) = (logits(&package, &fast()), logits(&package, &options()));
            let [fast_loss, ort_loss] = [&fast, &ort].map(|found| 1.0 - cosine(found, &precise));
            println!("{checkpoint} {precision}: 1 - cosine is {fast_loss:.5}, {ort_loss:.5} for ONNX Runtime");
            assert!(fast != precise && fast_loss < 1.5 * ort_loss, "{checkpoint} {precision}: {fast_loss}, {ort_loss}");
        }
    }
}

#[test]
fn a_package_that_is_exported_so_keeps_its_activations() {
    let directory = tempfile::tempdir().unwrap();
    let package = export(directory.path(), "dense-untied", |options| {
        options.precision = Precision::Int8;
        options.accuracy_level = 0;
    });
    let (precise, found) = (logits(&package, &options_of(EngineChoice::Cpu)), logits(&package, &fast()));
    let difference = difference(&found, &precise);
    // Keys and values are in half precision.
    assert!(difference > 0.0 && difference < 0.05, "{difference}");
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    for checkpoint in ["dense-untied", "moe"] {
        let package = export(directory.path(), checkpoint, |options| options.precision = Precision::Int4);
        let run = |threads| logits(&package, &EngineOptions { threads: Some(threads), ..fast() });
        assert_eq!(run(1), run(3), "{checkpoint}");
    }
}

/// Kernels compute a row as if it were alone, so that a history gives the same bits however it came about.
#[test]
fn results_do_not_depend_on_how_a_prompt_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let token_ids: Vec<u32> = (0..70).map(|i| 5 + 17 * i).collect();
    let positions: Vec<[i64; 3]> = (0..70).map(|i| [i; 3]).collect();
    for (checkpoint, precision) in [
        ("dense-untied", Precision::Int4),
        ("moe", Precision::Int8),
        ("dense-tied", Precision::Fp16),
        ("moe", Precision::Fp32),
    ] {
        let package = export(directory.path(), checkpoint, |options| options.precision = precision);
        let run = |prefill_chunk, options| {
            let mut engine = qvl_engine::open(&package, &EngineOptions { prefill_chunk, ..options }).unwrap();
            let id = engine.open_sequence(70).unwrap();
            let prompt = Prefill { token_ids: &token_ids, positions: &positions, features: None };
            engine.prefill(id, &prompt).unwrap()
        };
        for options in [fast(), options_of(EngineChoice::Cpu)] {
            let whole = run(70, options.clone());
            for chunk in [1, 3, 16, 33] {
                let precise = options.precise;
                assert_eq!(run(chunk, options.clone()), whole, "{checkpoint} {precision}, {chunk}, precise {precise}");
            }
        }
    }
}

#[test]
fn what_an_engine_cannot_do_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let package = export(directory.path(), "dense-tied", |_| {});
    let error = |options: EngineOptions| qvl_engine::open(&package, &options).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        error(EngineOptions { device: Device::Cuda, ..fast() }),
        "the engine cpu runs on the processor only; use --engine ort for the device cuda"
    );
    assert_eq!(
        error(EngineOptions { precise: true, ..options() }),
        "the engine ort computes as the package's graphs say; use --engine cpu for --precise"
    );
    assert_eq!(
        error(EngineOptions { kv_cache: KvPrecision::Int8, ..options() }),
        "the engine ort keeps keys and values as the package's graphs say; use --engine cpu for --kv-cache"
    );
}
