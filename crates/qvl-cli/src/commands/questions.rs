//! Going through a file of questions, and printing what came of it.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use qvl::eval::Question;
use serde::Serialize;

use crate::terminal::print;

/// Calls `ask` with one question after the other and shows how far it is, until all are through or `ask` breaks off.
///
/// # Errors
/// As `ask`.
pub fn for_each(
    questions: &[Question],
    mut ask: impl FnMut(&Question) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()> {
    let bar = ProgressBar::new(questions.len() as u64).with_style(style());
    for question in questions {
        bar.set_message(question.task.clone());
        if ask(question)?.is_break() {
            break;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len} {per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Finds out, before anything is measured, whether a result can have this place; `-` is stdout.
///
/// # Errors
/// If there is no such directory, or it is one.
pub fn check_place(path: Option<&Path>) -> anyhow::Result<()> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else { return Ok(()) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(parent.is_dir(), "cannot write to {}: there is no directory {}", path.display(), parent.display());
    ensure!(!path.is_dir(), "cannot write to {}: it is a directory; name a file in it", path.display());
    Ok(())
}

/// Prints `table`, or for `-` the `report` as an object instead, and writes the object to `json` if that is a file.
/// `what` names it in errors.
///
/// # Errors
/// If stdout or the file cannot be written.
pub fn print_or_write(report: &impl Serialize, table: &str, json: Option<&Path>, what: &str) -> anyhow::Result<()> {
    let Some(path) = json else { return print(table) };
    let object = format!("{}\n", serde_json::to_string(report)?);
    if path == Path::new("-") {
        return print(&object);
    }
    print(table)?;
    fs::write(path, object).with_context(|| format!("cannot write the {what} to {}", path.display()))
}
