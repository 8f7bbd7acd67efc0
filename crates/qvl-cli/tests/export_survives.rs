//! Exports that are killed, run out of space or meet each other.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use common::{entries, package, reference, std_qvl};
use qvl_checkpoint::synthetic::{self, SyntheticOptions};
use qvl_package::PackageDir;

fn export(checkpoint: &Path, output: &Path) -> Command {
    let mut command = std_qvl();
    command.args(["export", "--force", "--precision", "fp32"]).arg(checkpoint).arg("-o").arg(output);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn tiny() -> std::path::PathBuf {
    reference("tiny/dense-tied")
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_package() {
    let directory = package("dense-tied");
    let target = directory.path().join("p");
    for milliseconds in (0..400).step_by(25) {
        let mut child = export(&tiny(), &target).spawn().unwrap();
        sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        PackageDir::open(&target).unwrap_or_else(|e| panic!("killed after {milliseconds} ms: {e}"));
    }
    assert!(export(&tiny(), &target).status().unwrap().success());
    assert_eq!(entries(directory.path()), ["p"], "the next export removes what the killed ones left");
}

#[test]
fn two_at_once_leave_one_whole_package() {
    let directory = package("dense-tied");
    let target = directory.path().join("p");
    let children = [(); 3].map(|()| export(&tiny(), &target).spawn().unwrap());
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    PackageDir::open(&target).unwrap();
    assert_eq!(entries(directory.path()), ["p"]);
}

/// Runs an export to `directory`/p by `shell`, in which `"$@"` is the export, and gives its error.
fn failing_export(shell: &str, directory: &Path) -> String {
    let program = export(&tiny(), &directory.join("p"));
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).arg(program.get_program()).args(program.get_args());
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

#[test]
fn a_file_limit_leaves_the_old_package() {
    let directory = package("dense-tied");
    let before = fs::read(directory.path().join("p/package.json")).unwrap();
    let error = failing_export("trap '' XFSZ; ulimit -f 500; exec \"$@\"", directory.path());
    assert!(error.contains(".onnx.data: File too large"), "{error}");
    assert_eq!(entries(directory.path()), ["p"]);
    assert_eq!(fs::read(directory.path().join("p/package.json")).unwrap(), before);
}

#[test]
fn a_full_disk_leaves_nothing_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    // A disk of one megabyte, seen by this command alone.
    let mount = format!("mount -t tmpfs -o size=1m none {}", directory.path().display());
    let allowed =
        Command::new("unshare").args(["-m", "sh", "-c", &mount]).status().is_ok_and(|status| status.success());
    if !allowed {
        println!(
            "skipped: this user may not mount a file system; a_file_limit_leaves_the_old_package tests the same path"
        );
        return;
    }
    let path = directory.path().display();
    let shell = format!("{mount}; \"$@\"; status=$?; ls -A {path} >&2; exit $status");
    let error = failing_export(&format!("exec unshare -m sh -c '{shell}' sh \"$@\""), directory.path());
    assert!(error.contains("No space left on device"), "{error}");
    assert!(error.contains("free some space and try again"), "{error}");
    assert!(!error.contains("qvl-partial-p"), "{error}");
    assert!(error.trim_end().ends_with("again"), "nothing is left on the disk: {error}");
}

#[test]
fn memory_does_not_grow_with_the_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoint = directory.path().join("checkpoint");
    let mut config = qvl_checkpoint::Config::read(&tiny().join("config.json")).unwrap();
    (config.text.hidden_size, config.vision.out_hidden_size) = (1024, 1024);
    (config.text.intermediate_size, config.text.num_hidden_layers) = (4096, 16);
    synthetic::write(&config, &checkpoint, &SyntheticOptions::default(), &|_| {}).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "chat_template.json"] {
        fs::copy(tiny().join(name), checkpoint.join(name)).unwrap();
    }
    let [full, half] = ["p", "half"].map(|name| directory.path().join(name));
    let written = |package: &Path| fs::metadata(package.join("text.onnx.data")).unwrap().len();
    let peak = anonymous_peak(export(&checkpoint, &full));
    assert!(written(&full) > 700 << 20, "{}", written(&full));
    assert!(peak > 0 && peak < 200 << 10, "{peak} KiB of anonymous memory");

    let mut requantize = std_qvl();
    requantize.args(["requantize", "--precision", "fp16"]).arg(&full).arg("-o").arg(&half);
    requantize.stdout(Stdio::null()).stderr(Stdio::null());
    let peak = anonymous_peak(requantize);
    assert!(written(&half) > 350 << 20, "{}", written(&half));
    assert!(peak > 0 && peak < 200 << 10, "{peak} KiB of anonymous memory to requantise");
}

/// Runs `command` to its end; the most anonymous memory that it had, in KiB.
fn anonymous_peak(mut command: Command) -> u64 {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let anonymous =
            text.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(anonymous.unwrap_or(0_u64));
        sleep(Duration::from_millis(2));
    }
    peak
}
