//! `qvl bench`: what it measures and leaves out, and how it says so. No test looks at how long something took.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::path::PathBuf;

use common::{checkpoint_copy, edit_json, failure, json, package, qvl};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A package of a model with a short context.
fn short_context(tokens: usize) -> (TempDir, PathBuf) {
    let directory = checkpoint_copy("dense-tied");
    edit_json(&directory.path().join("config.json"), |config| {
        config["text_config"]["max_position_embeddings"] = json!(tokens);
    });
    let package = directory.path().join("p");
    qvl().arg("export").arg(directory.path()).arg("-o").arg(&package).assert().success();
    (directory, package)
}

/// Checks a median and its ends, all of them above zero; returns the median.
fn range(value: &Value) -> f64 {
    let [median, min, max] = ["median", "min", "max"].map(|key| value[key].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max && max.is_finite(), "{value}");
    median
}

fn names(measures: &Value) -> Vec<String> {
    let name = |measure: &Value| format!("{} {}", measure["part"].as_str().unwrap(), measure["count"]);
    measures.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn the_demo_model_is_measured_beside_the_machines_limits() {
    let mut command = qvl();
    let report = json(command.args(["bench", "--quick", "--runs", "2", "--engine", "ort,ort", "--threads", "1"]));
    assert_eq!((&report["model"], &report["runs"], &report["complete"]), (&json!("qvl demo"), &json!(2), &json!(true)));
    assert_eq!(report["precisions"], json!({"embedding": "fp32", "text": "fp32", "vision": "fp32"}));
    assert_eq!(report["machine"]["threads"], 1);
    let limit = |name: &str| range(&report["limits"][name]);
    let limits = ["read_bandwidth", "int8_peak", "float32_peak"].map(limit);
    assert!(limits.iter().all(|&limit| limit > 1e8), "{limits:?}");

    let engines = report["engines"].as_array().unwrap();
    assert_eq!(engines.len(), 2);
    for engine in engines {
        assert_eq!(engine["engine"], "ort");
        assert!(range(&engine["load_seconds"]) > range(&engine["engine_load_seconds"]));
        let measures = &engine["measures"];
        assert_eq!(names(measures), ["vision 1024", "decode 1", "prefill 512"]);
        for measure in measures.as_array().unwrap() {
            let seconds = range(&measure["seconds"]);
            let per_second = measure["count"].as_f64().unwrap() / seconds;
            assert!((measure["per_second"].as_f64().unwrap() / per_second - 1.0).abs() < 1e-9);
            assert!(range(&measure["fraction"]) > 0.0 && measure["work"].as_f64().unwrap() > 1e6);
        }
        assert_eq!(measures[0]["limit"], "float32_peak");
        assert_eq!((&measures[1]["limit"], &measures[1]["context"]), (&json!("read_bandwidth"), &json!(0)));
        assert_eq!((&measures[2]["limit"], &measures[2]["tokens"]), (&json!("float32_peak"), &json!(512)));
        if cfg!(target_os = "linux") {
            let peak = measures[2]["peak_resident_bytes"].as_u64().unwrap();
            assert!(peak > 10 << 20 && peak == engine["peak_resident_bytes"].as_u64().unwrap(), "{measures}");
        }
    }
    let ratios = report["ratios"].as_array().unwrap();
    let measures: Vec<&str> = ratios.iter().map(|ratio| ratio["measure"].as_str().unwrap()).collect();
    assert_eq!(measures, ["load", "vision 512x512", "decode at 0", "prefill 512"]);
    assert!(ratios.iter().all(|ratio| range(&ratio["times_as_fast"]) > 0.0));
}

#[test]
fn what_the_context_is_too_short_for_is_left_out_and_named() {
    let (_directory, package) = short_context(1024);
    let mut command = qvl();
    command.arg("bench").arg(&package).args(["--only", "prefill,decode", "--runs", "1"]);
    let table = String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap();
    assert!(
        table.contains("\ndecode at 0 ") && table.contains("\nprefill 512 ") && !table.contains("vision 5"),
        "{table}"
    );
    assert!(table.contains(" % of reading") && table.contains(" % of float32"), "{table}");
    for measure in ["prefill 2048", "decode at 2048", "decode at 8192"] {
        assert!(table.contains(&format!("(left out: {measure}; the model's context holds 1024 tokens)\n")), "{table}");
    }
    let report = json(&mut command);
    // 4 layers of 147,456 weights, a head of 1280 rows of 128, 1408 of norms; 4 bytes each.
    assert_eq!(report["engines"][0]["measures"][0]["work"], json!(4.0 * (4.0 * 147_456.0 + 163_840.0 + 1408.0)));
    let left_out = json!({"part": "decode", "context": 8192, "limit": 1024});
    assert_eq!((&report["left_out"][2], report["left_out"].as_array().unwrap().len()), (&left_out, 3));
    assert_eq!(report["ratios"], json!([]));
}

/// Contexts are filled, cut back and gone on from; were they not, the engine would refuse a token or a length.
#[test]
fn all_contexts_of_a_mixture_of_experts() {
    let package = package("moe");
    let mut command = qvl();
    command.arg("bench").arg(package.path().join("p")).args(["--runs", "1"]);
    let report = json(&mut command);
    let measures = &report["engines"][0]["measures"];
    let expected = ["vision 1024", "vision 3072", "decode 1", "prefill 512", "prefill 2048", "decode 1", "decode 1"];
    assert_eq!(names(measures), expected);
    let bytes = [2, 5, 6].map(|index| measures[index]["work"].as_f64().unwrap());
    assert_eq!(bytes[2] - bytes[0], 4.0 * (bytes[1] - bytes[0]));
    assert_eq!(report["left_out"], json!([]));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let text = failure(qvl().args(["bench", "/nowhere/package"]), 1);
    assert!(text.contains("/nowhere/package does not exist"), "{text}");
    let text = failure(qvl().args(["bench", "--engine", "ort", "--precise"]), 1);
    assert!(text.contains("error: load with the engine ort precise failed: "), "{text}");
    for (arguments, message) in [
        (["bench", "--only", "text"], "unknown part `text`; use vision, prefill or decode"),
        (["bench", "--engine", "cpu,steam"], "unknown engine `steam`; use one of auto, cpu, ort"),
        (["bench", "--runs", "0"], "invalid value '0'"),
    ] {
        let text = failure(qvl().args(arguments), 2);
        assert!(text.contains(message), "{text}");
    }
}
