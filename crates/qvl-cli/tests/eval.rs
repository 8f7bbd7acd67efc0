//! `qvl eval`: scores, the files it writes, and what it refuses before a model runs.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use common::{failure, image, package, qvl};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A question file beside a picture. The tiny model's answers are noise, so its own answer is the reference where 100 %
/// are wanted.
fn folder(lines: &[Value]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(image("noise_224x224.png"), folder.path().join("a.png")).unwrap();
    fs::write(data(&folder), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    folder
}

fn data(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("questions.jsonl")
}

fn question(id: &str, task: &str, metric: &str, answer: &str) -> Value {
    let content = json!([{"type": "image", "image": "a.png"}, {"type": "text", "text": "What is this?"}]);
    json!({"id": id, "task": task, "messages": [{"role": "user", "content": content}], "answer": answer, "metric": metric})
}

fn eval(package: &Path, folder: &TempDir) -> Command {
    let mut command = qvl();
    command.arg("eval").arg(package).arg("--data").arg(data(folder)).args(["--max-new-tokens", "8"]);
    command
}

/// What `qvl run` answers to the question.
fn answer_of_run(package: &Path) -> String {
    let mut command = qvl();
    command.arg("run").arg(package).args(["--prompt", "What is this?", "--no-sample", "--max-new-tokens", "8"]);
    common::json(command.arg("--image").arg(image("noise_224x224.png")))["text"].as_str().unwrap().to_owned()
}

#[test]
fn scores_are_counted_by_task_and_answers_are_those_of_run() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let right = answer_of_run(&package);
    let folder = folder(&[
        question("a", "colour", "exact", "no such answer"),
        question("b", "colour", "exact", &right),
        question("c", "read", "words", &right),
    ]);
    let (answers, scores) = (folder.path().join("answers.jsonl"), folder.path().join("scores.json"));
    let assert = eval(&package, &folder).arg("--answers").arg(&answers).arg("--json").arg(&scores).assert().success();
    let table = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert_eq!(
        table,
        "task     metric  questions  score %\n\
         colour   exact           2     50.0\n\
         read     words           1    100.0\n\
         overall                  3     75.0\n"
    );
    let lines: Vec<Value> =
        fs::read_to_string(&answers).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1], json!({"id": "b", "task": "colour", "answer": right, "reference": right, "score": 1.0}));
    let scores: Value = serde_json::from_str(&fs::read_to_string(&scores).unwrap()).unwrap();
    assert_eq!(scores["tasks"][0], json!({"task": "colour", "metric": "exact", "questions": 2, "score": 50.0}));
    assert_eq!(
        (&scores["overall"], &scores["questions"], &scores["complete"]),
        (&json!(75.0), &json!(3), &json!(true))
    );
    assert_eq!(scores["model"], package.display().to_string());
    assert!(scores["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn tasks_and_a_limit_choose_questions_and_the_object_goes_to_stdout() {
    let package = package("dense-tied");
    let lines = ["a", "b", "c"].map(|id| question(id, if id == "a" { "colour" } else { "shape" }, "exact", "no"));
    let folder = folder(&lines);
    let output = eval(&package.path().join("p"), &folder)
        .args(["--task", "shape", "--limit", "1", "--json", "-"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let scores: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(scores["tasks"], json!([{"task": "shape", "metric": "exact", "questions": 1, "score": 0.0}]));
}

#[test]
fn a_second_turn_and_an_animation_are_understood() {
    let package = package("dense-tied");
    let mut line = question("a", "clip", "exact", "no");
    line["messages"][0]["content"][0] = json!({"type": "video", "video": "a.gif"});
    let turns = line["messages"].as_array_mut().unwrap();
    turns.push(json!({"role": "assistant", "content": "A clip."}));
    turns.push(json!({"role": "user", "content": "What moves?"}));
    let folder = folder(&[line]);
    write_animation(&folder.path().join("a.gif"));
    eval(&package.path().join("p"), &folder).assert().success();
}

fn write_animation(path: &Path) {
    let mut encoder = image::codecs::gif::GifEncoder::new(fs::File::create(path).unwrap());
    for shade in [0, 80, 160, 240] {
        let frame = image::RgbaImage::from_pixel(64, 64, image::Rgba([shade, shade, 0, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
}

/// There is no such package: the mistakes below are found before it is looked for.
#[test]
fn mistakes_are_found_before_a_model_is_loaded() {
    let nowhere = Path::new("/nowhere/package");
    let mut bad = question("b", "colour", "exact", "Red");
    bad["messages"][0]["content"][0]["image"] = json!("missing.png");
    let spoiled = folder(&[question("a", "colour", "exact", "Red"), bad]);
    let text = failure(&mut eval(nowhere, &spoiled), 1);
    assert!(
        text.contains("questions.jsonl, line 2: missing.png: ") && text.contains("beside the question file"),
        "{text}"
    );

    let good = folder(&[question("a", "colour", "exact", "Red")]);
    let text = failure(eval(nowhere, &good).args(["--task", "taste"]), 1);
    assert!(text.contains("no question of the task `taste`; the file has colour"), "{text}");
    let text = failure(eval(nowhere, &good).args(["--answers", "/nowhere/answers.jsonl"]), 1);
    assert!(text.contains("cannot write the answers to /nowhere/answers.jsonl"), "{text}");
    let text = failure(eval(nowhere, &good).args(["--json", "/nowhere/scores.json"]), 1);
    assert!(text.contains("cannot write to /nowhere/scores.json: there is no directory /nowhere"), "{text}");
    let text = failure(eval(nowhere, &good).arg("--json").arg(good.path()), 1);
    assert!(text.contains("it is a directory; name a file in it"), "{text}");
    let text = failure(qvl().args(["eval", "--data", "/nowhere/questions.jsonl"]), 1);
    assert!(text.contains("/nowhere/questions.jsonl: ") && text.contains("demo/heldout/questions.jsonl"), "{text}");
}

#[test]
fn answers_of_the_last_run_stay_until_a_model_is_loaded() {
    let folder = folder(&[question("a", "colour", "exact", "Red")]);
    let answers = folder.path().join("answers.jsonl");
    fs::write(&answers, "a long night's work\n".repeat(100)).unwrap();
    failure(eval(Path::new("/nowhere/package"), &folder).arg("--answers").arg(&answers), 1);
    assert!(fs::read_to_string(&answers).unwrap().starts_with("a long night's work"));
    let package = package("dense-tied");
    eval(&package.path().join("p"), &folder).arg("--answers").arg(&answers).assert().success();
    assert_eq!(fs::read_to_string(&answers).unwrap().lines().count(), 1);
}

#[test]
fn a_question_without_an_answer_does_not_cost_the_scores_of_others() {
    let package = package("dense-tied");
    let mut bad = question("bad", "colour", "exact", "Red");
    bad["messages"][0]["content"][0]["image"] = json!("bad.png");
    let folder = folder(&[question("good", "colour", "exact", "Red"), bad]);
    fs::write(folder.path().join("bad.png"), b"no picture").unwrap();
    let json = folder.path().join("scores.json");
    let assert = eval(&package.path().join("p"), &folder).arg("--json").arg(&json).assert().code(1);
    let output = assert.get_output();
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("(stopped: not all questions were answered)\n"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the question `bad` cannot be answered"));
    let scores: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!((&scores["questions"], &scores["complete"]), (&json!(1), &json!(false)));
}

#[test]
fn a_picture_that_cannot_be_decoded_names_its_question() {
    let package = package("dense-tied");
    let folder = folder(&[question("the-id", "colour", "exact", "Red")]);
    fs::write(folder.path().join("a.png"), b"no picture").unwrap();
    let text = failure(&mut eval(&package.path().join("p"), &folder), 1);
    assert!(text.starts_with("error: the question `the-id` cannot be answered\n  caused by: "), "{text}");
}
