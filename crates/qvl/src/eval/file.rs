//! A file of questions, checked as a whole.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use super::error::{LineError, QuestionsError};
use super::metric::Metric;
use super::question::Question;

/// Largest question file that is read: far more than a patient person's evaluation.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Reads all questions of the JSONL file at `path`, whose pictures lie in its folder; blank lines are skipped.
///
/// # Errors
/// Names the first line that is not a question, and what would mend it.
pub fn read_questions(path: &Path) -> Result<Vec<Question>, QuestionsError> {
    let io_error = |source| QuestionsError::Io { path: path.to_path_buf(), source };
    let text = read_text(path)?;
    let file = fs::canonicalize(path).map_err(io_error)?;
    let folder = file.parent().ok_or_else(|| io_error(io::Error::other("is not in a folder")))?;
    let mut seen = Seen::default();
    let mut questions = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = index + 1;
        let question = Question::parse(line, folder)
            .and_then(|question| seen.check(question, number))
            .map_err(|source| QuestionsError::Line { path: path.to_path_buf(), line: number, source })?;
        questions.push(question);
    }
    if questions.is_empty() {
        return Err(QuestionsError::Empty { path: path.to_path_buf() });
    }
    Ok(questions)
}

fn read_text(path: &Path) -> Result<String, QuestionsError> {
    let io_error = |source| QuestionsError::Io { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(io_error)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(QuestionsError::TooLarge { path: path.to_path_buf(), limit: MAX_FILE_BYTES });
    }
    String::from_utf8(bytes).map_err(|error| io_error(io::Error::other(error)))
}

/// What the lines before have fixed.
#[derive(Default)]
struct Seen {
    ids: HashMap<String, usize>,
    metrics: HashMap<String, Metric>,
}

impl Seen {
    fn check(&mut self, question: Question, line: usize) -> Result<Question, LineError> {
        if let Some(first) = self.ids.insert(question.id.clone(), line) {
            return Err(LineError::DuplicateId { id: question.id, first });
        }
        let first = *self.metrics.entry(question.task.clone()).or_insert(question.metric);
        if first != question.metric {
            return Err(LineError::MixedMetrics { task: question.task, first, metric: question.metric });
        }
        Ok(question)
    }
}

/// The questions of `tasks`, or of all tasks if that is empty, and at most `limit` of each task.
///
/// # Errors
/// [`QuestionsError::UnknownTask`] if there is no question of one of the tasks.
pub fn select(
    questions: Vec<Question>,
    tasks: &[String],
    limit: Option<usize>,
) -> Result<Vec<Question>, QuestionsError> {
    let mut known: Vec<&str> = questions.iter().map(|question| question.task.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    if let Some(task) = tasks.iter().find(|task| !known.contains(&task.as_str())) {
        return Err(QuestionsError::UnknownTask { task: task.clone(), tasks: known.join(", ") });
    }
    let mut counts: HashMap<String, usize> = HashMap::new();
    let is_wanted = |question: &Question| {
        let count = counts.entry(question.task.clone()).or_default();
        *count += 1;
        (tasks.is_empty() || tasks.contains(&question.task)) && limit.is_none_or(|limit| *count <= limit)
    };
    Ok(questions.into_iter().filter(is_wanted).collect())
}

#[cfg(test)]
mod tests;
