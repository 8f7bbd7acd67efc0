//! `qvl compare`: the table, the files it writes, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use common::{failure, image, qvl, reference};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with packages of the tiny checkpoint and a question file beside a picture.
struct Folder(TempDir);

impl Folder {
    fn new(precisions: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::copy(image("noise_224x224.png"), folder.path("a.png")).unwrap();
        let text = json!([{"type": "text", "text": "Who are you?"}]);
        let picture = json!([{"type": "image", "image": "a.png"}, {"type": "text", "text": "What is this?"}]);
        let lines = [("a", "look <hard>", &picture), ("b", "talk", &text), ("c", "talk", &text)];
        let line = |(id, task, content): (&str, &str, &Value)| {
            let messages = json!([{"role": "user", "content": content}]);
            json!({"id": id, "task": task, "messages": messages, "answer": "A circle", "metric": "words"}).to_string()
        };
        fs::write(folder.path("q.jsonl"), lines.map(line).join("\n")).unwrap();
        for precision in precisions {
            let mut command = qvl();
            command.arg("export").arg(reference("tiny/dense-tied")).arg("-o").arg(folder.path(precision));
            command.args(["--precision", precision]).assert().success();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `qvl compare` with the questions.
    fn compare(&self, reference: &Path, candidate: &Path) -> Command {
        let mut command = qvl();
        command.arg("compare").arg(reference).arg(candidate);
        command.arg("--data").arg(self.path("q.jsonl")).args(["--max-new-tokens", "20"]);
        command
    }
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

#[test]
fn the_table_has_all_groups_and_the_object_the_figures_of_it() {
    let folder = Folder::new(&["fp32", "int4"]);
    let (json, plot) = (folder.path("figures.json"), folder.path("plot.svg"));
    let mut command = folder.compare(&folder.path("fp32"), &folder.path("int4"));
    let table = stdout(command.arg("--json").arg(&json).arg("--plot").arg(&plot));
    let first: Vec<&str> = table.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let groups = ["all", "text only", "visual", "task look <hard>", "task talk"];
    let blocks = ["next token", "perplexity", "greedy answers"].map(|title| [&[title], &groups[..], &[""]].concat());
    let vision = ["vision features", "merged", "deepstack.0", "deepstack.1", "deepstack.2"];
    assert_eq!(first[..first.len() - 1], [&blocks.concat(), &vision[..]].concat());
    assert!(first[first.len() - 1].ends_with("tokens of 1 pictures and videos)"), "{table}");

    let figures: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!((&figures["questions"], &figures["complete"]), (&json!(3), &json!(true)));
    let questions = |name: &str| figures[name]["questions"].as_u64();
    assert_eq!(["all", "text_only", "visual"].map(questions), [Some(3), Some(2), Some(1)]);
    let tasks: Vec<_> = figures["tasks"].as_array().unwrap().iter().map(|task| &task["task"]).collect();
    assert_eq!(tasks, ["look <hard>", "talk"]);
    let kl = figures["all"]["kl"]["mean"].as_f64().unwrap();
    assert!(kl > 0.0 && figures["all"]["kl"]["p99"].as_f64().unwrap() > kl);
    assert_eq!(figures["by_position"][0]["answers"], 3);
    assert!(figures["vision"]["blocks"][0]["cosine_min"].as_f64().unwrap() > 0.99);

    let drawing = fs::read_to_string(&plot).unwrap();
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
    for part in ["by token of the answer", "task look &lt;hard&gt;", "99th percentile", "Weights of the text graph"] {
        assert!(drawing.contains(part), "{part}");
    }
}

#[test]
fn a_package_beside_itself_has_no_divergence() {
    let folder = Folder::new(&["fp32"]);
    let mut command = folder.compare(&folder.path("fp32"), &folder.path("fp32"));
    let object = stdout(command.args(["--json", "-", "--task", "talk", "--limit", "1"]));
    let figures: Value = serde_json::from_str(&object).unwrap();
    let all = &figures["all"];
    assert_eq!((&all["questions"], &figures["visual"], &figures["vision"]), (&json!(1), &Value::Null, &Value::Null));
    assert_eq!(all["kl"], json!({"mean": 0.0, "median": 0.0, "p99": 0.0}));
    assert_eq!((&all["top1_percent"], &all["greedy"]["identical_percent"]), (&json!(100.0), &json!(100.0)));
    assert_eq!(all["perplexity"]["reference"], all["perplexity"]["candidate"]);
}

#[test]
fn packages_of_different_models_are_refused() {
    let folder = Folder::new(&["fp32"]);
    let moe = common::package("moe");
    let text = failure(&mut folder.compare(&folder.path("fp32"), &moe.path().join("p")), 1);
    assert!(
        text.contains("not of the same model: config.json differs at `") && text.contains("one checkpoint"),
        "{text}"
    );
    let text = failure(&mut folder.compare(&folder.path("fp32"), Path::new("/nowhere")), 1);
    assert!(text.contains("/nowhere does not exist"), "{text}");
}

#[test]
fn mistakes_are_found_before_a_model_is_loaded() {
    let nowhere = Path::new("/nowhere/package");
    let folder = Folder::new(&[]);
    let text = failure(folder.compare(nowhere, nowhere).args(["--task", "taste"]), 1);
    assert!(text.contains("no question of the task `taste`; the file has look <hard>, talk"), "{text}");
    for place in ["--json", "--plot"] {
        let text = failure(folder.compare(nowhere, nowhere).args([place, "/nowhere/figures"]), 1);
        assert!(text.contains("cannot write to /nowhere/figures: there is no directory /nowhere"), "{text}");
    }
    let text = failure(qvl().args(["compare", "a", "b"]), 2);
    assert!(text.contains("which questions? Give --data") && text.contains("demo/heldout/questions.jsonl"), "{text}");
    let text = failure(qvl().args(["compare", "a"]), 2);
    assert!(text.contains("<CANDIDATE>"), "{text}");
    let text = failure(qvl().args(["compare", "a", "b", "--data", "q.jsonl", "--max-new-tokens", "0"]), 2);
    assert!(text.contains("invalid value '0'"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_plot_that_cannot_be_written_does_not_cost_the_table() {
    let folder = Folder::new(&["fp32"]);
    let mut command = folder.compare(&folder.path("fp32"), &folder.path("fp32"));
    let assert = command.args(["--task", "talk", "--plot", "/dev/full"]).assert().code(1);
    let output = assert.get_output();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("next token"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the plot to /dev/full"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_prints_what_was_measured() {
    use std::process::Stdio;
    use std::time::Duration;

    let folder = Folder::new(&["fp32"]);
    let line = |id| {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        json!({"id": id, "task": "t", "messages": messages, "answer": "a", "metric": "words"}).to_string()
    };
    let lines: Vec<String> = (0..20_000).map(|id: usize| line(id.to_string())).collect();
    fs::write(folder.path("q.jsonl"), lines.join("\n")).unwrap();
    // Nothing shows when the models are loaded and the first question is done, so it gets more time until it is.
    let tables = [2, 8, 32].map(Duration::from_secs).into_iter().map(|wait| {
        let mut command = common::std_qvl();
        command.arg("compare").args([folder.path("fp32"), folder.path("fp32")]);
        let child = command.arg("--data").arg(folder.path("q.jsonl")).stdout(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(wait);
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        String::from_utf8(output.stdout).unwrap()
    });
    let measured = tables.into_iter().find(|table| table.starts_with("next token")).unwrap();
    assert!(measured.contains("\nall "), "{measured}");
    assert!(measured.ends_with("(stopped: not all questions were compared)\n"), "{measured}");
}
