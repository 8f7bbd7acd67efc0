//! Help, exit codes, completions, `inspect` and `runtime`: all that needs no model, or only looks at one.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;

use common::{failure, json, package, qvl, reference};

#[test]
fn version_and_help() {
    qvl().arg("--version").assert().success().stdout(format!("qvl {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in
        [&["--help"][..], &["export", "--help"], &["requantize", "--help"], &["run", "--help"], &["chat", "--help"]]
    {
        let output = qvl().args(arguments).assert().success().get_output().stdout.clone();
        let text = String::from_utf8(output).unwrap();
        assert!(text.contains("Usage: qvl") && text.contains("qvl-") | text.contains("/help") | text.contains("qwen3"));
    }
}

#[test]
fn wrong_usage_is_code_2() {
    for (arguments, message) in [
        (&["run", "package"][..], "--prompt <TEXT>"),
        (&["run"], "--prompt <TEXT>"),
        (&["eval"], "which questions? Give --data QUESTIONS.jsonl"),
        (&["eval", "--data", "q.jsonl", "--limit", "0"], "invalid value '0'"),
        (&["run", "package", "--prompt", "Hi", "--device", "abacus"], "unknown device `abacus`; use one of cpu, cuda"),
        (
            &["run", "package", "--prompt", "Hi", "--engine", "steam"],
            "unknown engine `steam`; use one of auto, cpu, ort",
        ),
        (&["run", "package", "--prompt", "Hi", "--temperature", "hot"], "invalid value 'hot'"),
        (&["export", "checkpoint"], "--output <DIR>"),
        (&["export", "checkpoint", "-o", "x", "--precision", "fp8"], "invalid value 'fp8'"),
        (
            &["export", "checkpoint", "-o", "x", "--mix", "all"],
            "`all` is no PATTERN=PRECISION; write for example *.down_proj",
        ),
        (&["requantize", "package", "-o", "x"], "--precision <PRECISION>"),
        (&["dance"], "unrecognized subcommand 'dance'"),
    ] {
        let text = failure(qvl().args(arguments), 2);
        assert!(text.starts_with("error: ") && text.contains(message), "{arguments:?}: {text}");
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = qvl().args(["completions", shell]).assert().success().get_output().stdout.clone();
        assert!(String::from_utf8(output).unwrap().contains("max-new-tokens"), "{shell}");
    }
}

#[test]
fn a_package_is_described() {
    let package = package("moe");
    let mut command = qvl();
    let description = json(command.arg("inspect").arg(package.path().join("p")));
    assert_eq!(description["kind"], "package");
    assert_eq!(description["model"]["experts"], 8);
    assert_eq!(description["source"]["name"], "moe");
    assert_eq!(description["source"]["files"]["model.safetensors"]["sha256"].as_str().unwrap().len(), 64);
    let names: Vec<_> = description["graphs"].as_array().unwrap().iter().map(|graph| &graph["name"]).collect();
    assert_eq!(names, ["vision", "embedding", "text"]);
    let input = &description["graphs"][0]["inputs"][0];
    assert_eq!(
        (&input["name"], &input["type"], &input["shape"][1]),
        (&"pixel_values".into(), &"float32".into(), &"1536".into())
    );

    let text = qvl().arg("inspect").arg(package.path().join("p")).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    for part in ["8 experts in a layer", "graph         text: fp32", "past_key_values.{i}.key float32", "(i = 0…3)"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_quantised_package_says_what_was_lost_and_what_is_shared() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("p");
    let mut export = qvl();
    export.arg("export").arg(reference("tiny/dense-tied")).arg("-o").arg(&package);
    let said = export
        .args(["--precision", "int4", "--mix", "lm_head=int8", "--block-size", "32"])
        .assert()
        .success()
        .get_output()
        .clone();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("p: text int4, embedding int8, vision fp16, "), "{said}");

    let text = qvl().arg("inspect").arg(&package).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    for part in [
        "  mix         model.language_model.embed_tokens.weight int8\n",
        "  error       Σ (w − ŵ)² / Σ w²: median 6.",
        "  shared      model.language_model.embed_tokens.weight with the embedding graph, which stores it\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_checkpoint_is_described() {
    let mut command = qvl();
    let description = json(command.arg("inspect").arg(reference("tiny/dense-tied")));
    assert_eq!(description["kind"], "checkpoint");
    assert_eq!(description["model_type"], "qwen3_vl");
    assert_eq!(description["tied_head"], true);
    assert_eq!(description["parameters"], description["dtypes"]["BF16"]);
    let text = qvl().arg("inspect").arg(reference("tiny/dense-tied")).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(text).unwrap().contains("head          tied to the embedding"));
    let missing = failure(qvl().args(["inspect", "/nowhere"]), 1);
    assert!(missing.starts_with("error: /nowhere does not exist; give "), "{missing}");
}

#[test]
fn the_library_is_found_or_offered() {
    let found = qvl().args(["runtime", "where"]).assert().success().get_output().clone();
    let path = String::from_utf8(found.stdout).unwrap();
    assert!(fs::metadata(path.trim_end()).unwrap().is_file());
    assert_eq!(String::from_utf8(found.stderr).unwrap(), "found by: ORT_DYLIB_PATH\n");

    let missing = failure(qvl().args(["runtime", "where", "--ort-lib", "/nowhere/library"]), 1);
    assert!(missing.contains("there is no ONNX Runtime library at /nowhere/library (named by --ort-lib)"), "{missing}");
}

/// A machine without the library, without a package client and without Python.
#[test]
fn without_the_library_the_error_offers_it() {
    let nothing = tempfile::tempdir().unwrap();
    let bare = || {
        let mut command = qvl();
        command.env_remove("ORT_DYLIB_PATH").env("QVL_CACHE_DIR", nothing.path()).env("PATH", nothing.path());
        command.env_remove("LD_LIBRARY_PATH").env_remove("DYLD_LIBRARY_PATH").env_remove("VIRTUAL_ENV");
        command
    };
    if bare().args(["runtime", "where"]).output().unwrap().status.success() {
        // The system has a library of its own, which is found, and rightly so.
        return;
    }
    let package = package("dense-tied");
    let run = || {
        let mut command = bare();
        command.arg("run").arg(package.path().join("p")).args(["--engine", "ort", "--prompt", "Hi"]);
        command
    };
    let text = failure(&mut run(), 1);
    assert!(text.contains("run `qvl runtime install` to get it"), "{text}");
    assert!(text.contains("hint: with --yes (or QVL_YES=1)"), "{text}");
    for text in [failure(run().arg("--yes"), 1), failure(run().env("QVL_YES", "1"), 1)] {
        assert!(text.contains("none of the programs that can fetch ONNX Runtime"), "{text}");
    }
    let text = failure(run().env("QVL_YES", "0"), 1);
    assert!(text.contains("`qvl runtime install`"), "{text}");
}
