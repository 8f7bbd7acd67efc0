//! The demo model answers where no model is given.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::{image, json, qvl};
use serde_json::{Value, json};

const LINE: &str = "model: qvl demo (built in; ";

fn qvl_with_cache(cache: &Path) -> Command {
    let mut command = qvl();
    command.env("QVL_CACHE_DIR", cache);
    command
}

/// The one package in the cache.
fn package_in(cache: &Path) -> std::path::PathBuf {
    let entries: Vec<_> = fs::read_dir(cache.join("packages")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.into_iter().next().unwrap()
}

#[test]
fn the_second_run_uses_the_package_of_the_first() {
    let cache = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = qvl_with_cache(cache.path());
        command.args([
            "run",
            "--prompt",
            "What colour is the circle?",
            "--no-sample",
            "--max-new-tokens",
            "4",
            "--image",
        ]);
        let assert = command.arg(image("noise_224x224.png")).assert().success();
        let output = assert.get_output();
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(stderr.starts_with(LINE) && stderr.lines().count() == 1, "{stderr}");
        (output.stdout.clone(), fs::metadata(package_in(cache.path())).unwrap().modified().unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn the_readmes_question_gets_the_right_answer() {
    let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/pictures/figures.png");
    let all = "A red circle, a green star and a blue square on a white background.\n";
    let answers = [
        ("Describe the picture.", all),
        ("What colour is the star?", "Green\n"),
        ("How many shapes are there?", "3\n"),
    ];
    for (question, answer) in answers {
        qvl().args(["run", "--image", picture, "--prompt", question]).assert().success().stdout(answer);
    }
}

#[test]
fn a_damaged_package_is_made_anew() {
    let cache = tempfile::tempdir().unwrap();
    qvl_with_cache(cache.path()).arg("inspect").assert().success();
    let data = package_in(cache.path()).join("text.onnx.data");
    let bytes = fs::read(&data).unwrap();
    fs::write(&data, &bytes[1..]).unwrap();
    qvl_with_cache(cache.path()).arg("inspect").assert().success();
    assert_eq!(fs::read(package_in(cache.path()).join("text.onnx.data")).unwrap(), bytes);
}

#[test]
fn chat_inspect_and_eval_know_it_too() {
    let mut command = qvl();
    let assert = command.args(["chat", "--max-new-tokens", "4"]).write_stdin("Hello\n").assert().success();
    assert!(String::from_utf8(assert.get_output().stderr.clone()).unwrap().starts_with(LINE));

    let description = json(qvl().arg("inspect"));
    assert_eq!((&description["kind"], &description["source"]["name"]), (&json!("package"), &json!("qvl-demo")));

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("questions.jsonl");
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let question = json!({"id": "a", "task": "talk", "messages": messages, "answer": "Hello", "metric": "exact"});
    fs::write(&data, question.to_string()).unwrap();
    let mut command = qvl();
    let assert = command.args(["eval", "--max-new-tokens", "4", "--json", "-", "--data"]).arg(&data).assert().success();
    assert!(String::from_utf8(assert.get_output().stderr.clone()).unwrap().starts_with(LINE));
    let scores: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(scores["model"], "qvl demo");
}
