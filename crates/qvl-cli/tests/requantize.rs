//! Packages made out of packages by the program.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::path::Path;
use std::process;
use std::thread::sleep;
use std::time::Duration;

use common::{entries, failure, json, package, qvl, reference, std_qvl};
use qvl_package::{PackageDir, Precision};

fn requantize(package: &Path, output: &Path, precision: &str) -> process::Command {
    let mut command = std_qvl();
    command.arg("requantize").arg(package).arg("-o").arg(output).args(["--precision", precision]);
    command
}

#[test]
fn an_answer_survives_and_the_way_is_told() {
    let directory = package("dense-tied");
    let [full, half, small] = ["p", "half", "small"].map(|name| directory.path().join(name));
    let mut command = assert_cmd::Command::from_std(requantize(&full, &half, "fp16"));
    let said = command.assert().success().stdout("").get_output().stderr.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("half: text fp16, embedding fp16, vision fp16, "), "{said}");
    let mut command = requantize(&half, &small, "int4");
    command.args(["--method", "rtn", "--block-size", "64", "--mix", "none", "--embedding-precision", "int8"]);
    assert_cmd::Command::from_std(command).assert().success();

    for package in [&half, &small] {
        let mut run = qvl();
        run.arg("run").arg(package).args(["--prompt", "Hi", "--max-new-tokens", "4", "--ignore-eos"]);
        assert_eq!(json(&mut run)["usage"]["completion_tokens"], 4);
    }
    let description = json(qvl().arg("inspect").arg(&small));
    let quantization = &description["graphs"][2]["quantization"];
    assert_eq!((&quantization["method"], &quantization["block_size"]), (&"rtn".into(), &64.into()));
    assert_eq!(description["source"]["name"], "dense-tied");
    let text = qvl().arg("inspect").arg(&small).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(text).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let way = ["fp32", "fp16"].map(|precision| {
        let graphs = ["embedding", "text", "vision"].map(|graph| format!("{graph} {precision}"));
        format!("  by way of a package: {}, by qvl {version}\n", graphs.join(", "))
    });
    assert!(text.ends_with(&way.concat()), "{text}");
}

#[test]
fn what_cannot_be_requantised_is_said() {
    let directory = package("dense-tied");
    let [full, small] = ["p", "small"].map(|name| directory.path().join(name));
    let run = |mut command: process::Command, arguments: &[&str]| {
        command.args(arguments);
        failure(&mut assert_cmd::Command::from_std(command), 1)
    };
    let error = run(requantize(&full, &full, "int4"), &[]);
    assert!(error.contains("already holds a package; give --force to replace it"), "{error}");
    let error = run(requantize(&reference("tiny/dense-tied"), &small, "int4"), &[]);
    assert!(error.contains("dense-tied is not a qvl package"), "{error}");
    let error = run(requantize(&full, &small, "int4"), &["--block-size", "48"]);
    assert!(error.contains("a block size of 48 is not possible"), "{error}");
    assert_cmd::Command::from_std(requantize(&full, &small, "int8")).assert().success();
    let error = run(requantize(&small, &directory.path().join("smaller"), "int4"), &[]);
    assert!(error.starts_with("error: ") && error.contains("(embedding int8, text int8)"), "{error}");
    assert_eq!(entries(directory.path()), ["p", "small"]);
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_package() {
    let directory = package("dense-tied");
    let target = directory.path().join("p");
    let in_place = || {
        let mut command = requantize(&target, &target, "fp16");
        command.arg("--force").stderr(process::Stdio::null());
        command
    };
    for milliseconds in (0..400).step_by(25) {
        let mut child = in_place().spawn().unwrap();
        sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        PackageDir::open(&target).unwrap_or_else(|e| panic!("killed after {milliseconds} ms: {e}"));
    }
    assert!(in_place().status().unwrap().success());
    assert_eq!(entries(directory.path()), ["p"], "the next one removes what the killed ones left");
    assert_eq!(PackageDir::open(&target).unwrap().manifest().graphs["text"].precision, Precision::Fp16);
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let directory = package("dense-tied");
    let program = requantize(&directory.path().join("p"), &directory.path().join("q"), "int4");
    let mut command = process::Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1000; exec \"$@\"", "sh"]);
    let output = command.arg(program.get_program()).args(program.get_args()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: ") && text.contains("model.safetensors: File too large"), "{text}");
    assert_eq!(entries(directory.path()), ["p"]);
}
