//! Quantisation that is fitted to prompts, by the program.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::{failure, image, json, qvl, reference};

fn export(method: &str, output: &Path) -> Command {
    let mut command = qvl();
    command.arg("export").arg(reference("tiny/dense-tied")).arg("-o").arg(output);
    command.args(["--precision", "int4", "--yes", "--method", method]);
    command
}

/// What `inspect` says of the text graph's calibration.
fn calibration(package: &Path) -> serde_json::Value {
    json(qvl().arg("inspect").arg(package))["graphs"][2]["quantization"]["calibration"].clone()
}

#[test]
fn own_questions_are_the_default_and_the_manifest_tells() {
    let folder = tempfile::tempdir().unwrap();
    for method in ["awq", "gptq"] {
        let package = folder.path().join(method);
        export(method, &package).assert().success();
        let told = calibration(&package);
        assert_eq!((&told["source"], &told["prompts"]), (&"qvl demo calibration".into(), &68.into()));
        let mut run = qvl();
        run.arg("run").arg(&package).args(["--prompt", "Hi", "--max-new-tokens", "4", "--ignore-eos"]);
        assert_eq!(json(&mut run)["usage"]["completion_tokens"], 4);
    }
}

#[test]
fn a_folder_gives_a_prompt_for_each_picture_and_text() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts");
    fs::create_dir(&prompts).unwrap();
    fs::copy(image("noise_224x224.png"), prompts.join("noise.PNG")).unwrap();
    fs::write(prompts.join("a.txt"), "A text about nothing.").unwrap();
    fs::write(prompts.join("notes.md"), "not read").unwrap();
    let package = folder.path().join("p");
    export("gptq", &package).arg("--calibration").arg(&prompts).assert().success();
    let told = calibration(&package);
    assert_eq!((&told["source"], &told["prompts"]), (&"prompts".into(), &2.into()));
    assert!(told["vision_tokens"].as_u64() > Some(0) && told["vision_tokens"].as_u64() < told["tokens"].as_u64());
}

#[test]
fn what_cannot_be_calibrated_on_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (package, empty) = (folder.path().join("p"), folder.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    let said = failure(export("search", &package).arg("--calibration").arg(&empty), 1);
    assert!(said.contains("--calibration is for the methods awq and gptq; search needs none"), "{said}");
    let said = failure(export("gptq", &package).arg("--calibration").arg(&empty), 1);
    assert!(said.contains("empty has no pictures and no .txt files; put some in"), "{said}");
    let said = failure(export("gptq", &package).args(["--calibration-tokens", "3"]), 1);
    assert!(said.contains("no prompt of qvl demo calibration has at most 3 tokens"), "{said}");
    let damaged = empty.join("damaged.png");
    fs::write(&damaged, "no picture").unwrap();
    let said = failure(export("awq", &package).arg("--calibration").arg(&empty), 1);
    assert!(said.contains("damaged.png"), "{said}");
    assert!(!package.exists(), "something was left behind");
}
