//! `qvl chat` with its lines from a pipe.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use common::{image, json, package, qvl};

/// What the chat prints on stdout and stderr for `lines`.
fn chat(package: &std::path::Path, arguments: &[&str], lines: &str) -> (String, String) {
    let mut command = qvl();
    command.arg("chat").arg(package).args(["--no-sample", "--max-new-tokens", "8", "--ignore-eos"]).args(arguments);
    let output = command.write_stdin(lines).assert().success().get_output().clone();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn turns_follow_one_another_and_pictures_are_added() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let picture = image("photo_100x100.png");
    let (stdout, stderr) =
        chat(&package, &[], &format!("/image {}\nWhat is in this image?\nAnd now?\n", picture.display()));
    assert_eq!(stderr, "");

    let mut command = qvl();
    command.arg("run").arg(&package).args(["--no-sample", "--max-new-tokens", "8", "--ignore-eos"]);
    let first = json(command.arg("--image").arg(&picture).args(["--prompt", "What is in this image?"]));
    let first = first["text"].as_str().unwrap();
    assert!(stdout.starts_with(&format!("{first}\n")), "{stdout:?}");

    // The second answer depends on the first turn.
    let (alone, _) = chat(&package, &[], "And now?\n");
    let second = &stdout[first.len() + 1..];
    assert!(!second.trim().is_empty());
    assert_ne!(second, alone);
}

#[test]
fn reset_forgets_the_turns_but_not_the_system_message() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let (alone, _) = chat(&package, &["--system", "Be brief."], "Hello\n");
    let (after_reset, _) = chat(&package, &[], "Tell me a story.\n/reset\n/system Be brief.\nHello\n");
    assert!(after_reset.ends_with(&alone) && after_reset.len() > alone.len());
    let (without, _) = chat(&package, &[], "Hello\n");
    assert_ne!(alone, without);
}

#[test]
fn mistakes_are_shown_and_the_chat_goes_on() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let lines = "/image /nowhere.png\n/picture x\n/help\n\nHello\n/quit\nnever asked\n";
    let (stdout, stderr) = chat(&package, &[], lines);
    assert_eq!(stdout, chat(&package, &[], "Hello\n").0);
    for part in ["error: /nowhere.png: ", "/picture? /help lists the commands", "/image FILE    add a picture"] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
}

#[test]
fn a_slash_may_begin_a_message() {
    let package = package("dense-tied");
    let package = package.path().join("p");
    let (stdout, stderr) = chat(&package, &[], "//etc is what?\n");
    assert!(!stdout.trim().is_empty() && stderr.is_empty());
}
