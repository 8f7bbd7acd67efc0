//! Signals, pipes that close and disks that are full.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{package, reference, std_qvl};

fn interrupt(child: &std::process::Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "nothing happened in a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_ends_the_answer_and_prints_what_is_there() {
    let package = package("dense-tied");
    for as_json in [false, true] {
        let mut command = std_qvl();
        command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--ignore-eos"]);
        command.args(["--max-new-tokens", "200000"]).args(as_json.then_some("--json"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut text = vec![0; if as_json { 0 } else { 64 }];
        stdout.read_exact(&mut text).unwrap();
        if as_json {
            // Nothing shows when it has begun.
            std::thread::sleep(Duration::from_secs(2));
        }
        interrupt(&child);
        stdout.read_to_end(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with('\n'));
        if as_json {
            let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(answer["finish_reason"], "cancelled");
        }
    }
}

#[test]
fn ctrl_c_ends_a_bench_and_prints_the_figures_so_far() {
    let package = package("dense-tied");
    let mut command = std_qvl();
    command.arg("bench").arg(package.path().join("p")).args(["--quick", "--runs", "10000"]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    // Nothing shows when it has begun.
    std::thread::sleep(Duration::from_secs(4));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.ends_with("(stopped: not everything was measured)\n"), "{table}");
}

#[test]
fn ctrl_c_ends_an_evaluation_and_prints_the_scores_so_far() {
    let package = package("dense-tied");
    let folder = tempfile::tempdir().unwrap();
    let (data, answers) = (folder.path().join("questions.jsonl"), folder.path().join("answers.jsonl"));
    let messages = r#"[{"role": "user", "content": "Hi"}]"#;
    let line = |id| {
        format!(
            "{{\"id\": \"{id}\", \"task\": \"t\", \"messages\": {messages}, \"answer\": \"a\", \"metric\": \"exact\"}}\n"
        )
    };
    fs::write(&data, (0..100_000).map(line).collect::<String>()).unwrap();
    let mut command = std_qvl();
    command.arg("eval").arg(package.path().join("p")).arg("--data").arg(&data).arg("--answers").arg(&answers);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    wait_until(|| fs::metadata(&answers).is_ok_and(|file| file.len() > 0));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.starts_with("task     metric") && table.ends_with("(stopped: not all questions were answered)\n"),
        "{table}"
    );
    let lines = fs::read_to_string(&answers).unwrap().lines().count();
    assert!(table.contains(&format!("{lines:>9}")), "{lines} answers: {table}");
}

#[test]
fn ctrl_c_ends_the_answer_of_a_chat_but_not_the_chat() {
    let package = package("dense-tied");
    // A file, whose length tells what has been written; a pipe would still hold the rest of the answer before.
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut command = std_qvl();
    command.arg("chat").arg(package.path().join("p")).args(["--ignore-eos", "--max-new-tokens", "200000"]);
    command.stdin(Stdio::piped()).stdout(output.reopen().unwrap()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    for question in ["Hello\n", "And now?\n"] {
        let written = fs::metadata(output.path()).unwrap().len();
        stdin.write_all(question.as_bytes()).unwrap();
        wait_until(|| fs::metadata(output.path()).unwrap().len() > written + 64);
        interrupt(&child);
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "(stopped)\n");
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_ctrl_c_ends_the_program_at_once_and_silently() {
    let package = package("dense-tied");
    for _ in 0..8 {
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut command = std_qvl();
        command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--ignore-eos"]);
        command.args(["--max-new-tokens", "200000"]).stdout(output.reopen().unwrap()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_until(|| fs::metadata(output.path()).unwrap().len() > 64);
        interrupt(&child);
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let package = package("dense-tied");
    let mut command = std_qvl();
    command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--ignore-eos"]);
    command.args(["--max-new-tokens", "200000"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(start.elapsed() < Duration::from_secs(30), "it went on without a reader");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let package = package("dense-tied");
    let mut command = std_qvl();
    command.arg("run").arg(package.path().join("p")).args(["--prompt", "Hi", "--max-new-tokens", "2", "--json"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: cannot write to standard output\n  caused by: No space left on device"), "{text}");
}

/// A limit on the size of files stands for a full disk.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_qvl"), "export"]);
    let output = command.arg(reference("tiny/dense-tied")).arg("-o").arg(directory.path().join("p")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: ") && text.contains("File too large") && text.contains(".onnx.data"), "{text}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
