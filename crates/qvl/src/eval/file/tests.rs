//! Question files: what is read, what is refused.

use std::path::PathBuf;

use qvl_processor::{Part, Role};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::eval::MediaFile;

/// A folder with a picture in it, and the place of its question file.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pictures")).unwrap();
    fs::write(folder.path().join("pictures/a.png"), b"not looked into").unwrap();
    let file = folder.path().join("questions.jsonl");
    (folder, file)
}

fn question(id: &str, task: &str) -> Value {
    let content = json!([{"type": "image", "image": "pictures/a.png"}, {"type": "text", "text": "Which colour?"}]);
    json!({"id": id, "task": task, "messages": [{"role": "user", "content": content}], "answer": "Red", "metric": "exact"})
}

fn read(lines: &[Value]) -> Result<Vec<Question>, QuestionsError> {
    let (_folder, file) = folder();
    fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    read_questions(&file)
}

#[test]
fn a_question_of_two_turns_is_read() {
    let mut second = question("b", "colour");
    let turns = second["messages"].as_array_mut().unwrap();
    turns.push(json!({"role": "assistant", "content": "Red"}));
    turns.push(json!({"role": "user", "content": "And its shape?"}));
    let questions = read(&[question("a", "colour"), second]).unwrap();
    assert_eq!(questions.len(), 2);
    let roles: Vec<Role> = questions[1].messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    assert_eq!(questions[1].messages[0].content[0], Part::Image(0));
    assert!(matches!(&questions[1].media[..], [MediaFile::Image(path)] if path.ends_with("pictures/a.png")));
}

#[test]
fn the_first_bad_line_is_named_with_what_mends_it() {
    type Spoil = fn(&mut Value);
    let cases: [(Spoil, &str); 12] = [
        (|q| q["metric"] = json!("luck"), "unknown variant `luck`"),
        (|q| q["answer"] = Value::Null, "a line is a JSON object with id, task, messages"),
        (|q| q["answer"] = json!(" "), "must not be empty"),
        (|q| q["metric"] = json!("boxes"), "must be a JSON list"),
        (|q| q["task"] = json!(""), "`task` is empty"),
        (|q| q["id"] = json!("first"), "the id `first` is that of line 1"),
        (|q| q["metric"] = json!("words"), "scored by `exact` before and by `words` here"),
        (|q| q["messages"] = json!([]), "must be the user's question"),
        (|q| q["messages"][0]["content"] = json!(7), "a text or a list of text, image and video parts"),
        (|q| q["messages"][0]["content"][0]["image"] = json!("../a.png"), "without `..`"),
        (|q| q["messages"][0]["content"][0]["image"] = json!("/etc/passwd"), "outside the folder"),
        (|q| q["messages"][0]["content"][0]["image"] = json!("pictures/b.png"), "pictures/b.png: "),
    ];
    for (spoil, message) in cases {
        let mut bad = question("bad", "colour");
        spoil(&mut bad);
        let error = read(&[question("first", "colour"), bad]).unwrap_err().to_string();
        assert!(error.contains("questions.jsonl, line 2: ") && error.contains(message), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_does_not_lead_out_of_the_folder() {
    let (folder, file) = folder();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::remove_file(folder.path().join("pictures/a.png")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("pictures/a.png")).unwrap();
    fs::write(&file, question("a", "colour").to_string()).unwrap();
    let error = read_questions(&file).unwrap_err().to_string();
    assert!(error.contains("outside the folder"), "{error}");
}

#[test]
fn files_without_questions_say_so() {
    let (_folder, file) = folder();
    assert!(matches!(read_questions(&file), Err(QuestionsError::Io { .. })));
    fs::write(&file, "\n \n").unwrap();
    assert!(matches!(read_questions(&file), Err(QuestionsError::Empty { .. })));
    fs::write(&file, b"\xff").unwrap();
    assert!(read_questions(&file).unwrap_err().to_string().contains("utf-8"));
    File::create(&file).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(matches!(read_questions(&file), Err(QuestionsError::TooLarge { .. })));
}

#[test]
fn tasks_and_a_limit_choose_questions() {
    let all = || read(&[question("a", "colour"), question("b", "shape"), question("c", "colour")]).unwrap();
    let chosen = |tasks: &[&str], limit| {
        let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        select(all(), &tasks, limit).map(|chosen| chosen.into_iter().map(|question| question.id).collect::<Vec<_>>())
    };
    assert_eq!(chosen(&[], None).unwrap(), ["a", "b", "c"]);
    assert_eq!(chosen(&["colour"], None).unwrap(), ["a", "c"]);
    assert_eq!(chosen(&[], Some(1)).unwrap(), ["a", "b"]);
    let error = chosen(&["taste"], None).unwrap_err().to_string();
    assert_eq!(error, "there is no question of the task `taste`; the file has colour, shape");
}
