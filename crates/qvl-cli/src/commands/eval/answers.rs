//! The file of `--answers`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qvl::eval::Question;
use serde_json::json;

/// A JSON object on a line for each answer, written as it comes.
pub struct AnswersFile {
    path: PathBuf,
    file: File,
}

impl AnswersFile {
    /// Opens the file, or makes it; what is in it stays for now.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path);
        Ok(Self { path: path.to_path_buf(), file: file.with_context(|| cannot_write(path))? })
    }

    /// Begins it anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn clear(&self) -> anyhow::Result<()> {
        // Pipes and terminals have no length.
        let is_file = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file { self.file.set_len(0).with_context(|| cannot_write(&self.path)) } else { Ok(()) }
    }

    /// Adds an answer, whose `score` is from 0 to 1.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, question: &Question, answer: &str, score: f64) -> anyhow::Result<()> {
        let line = json!({
            "id": question.id, "task": question.task, "answer": answer, "reference": question.answer, "score": score,
        });
        self.file.write_all(format!("{line}\n").as_bytes()).with_context(|| cannot_write(&self.path))
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write the answers to {}", path.display())
}
