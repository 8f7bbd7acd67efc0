//! What can be wrong with a question file.

use std::io;
use std::path::PathBuf;

use super::metric::Metric;

/// Why the questions of a file cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum QuestionsError {
    /// The file cannot be read.
    #[error("{}: {source}; give a question file (JSONL), such as demo/heldout/questions.jsonl of the source tree", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is larger than a question file may be.
    #[error("{} has over {limit} bytes; split it into several files", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes, at most.
        limit: u64,
    },
    /// The file has no line.
    #[error("{} holds no questions; each line of it should be one", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a question.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A task was asked for that the file does not have.
    #[error("there is no question of the task `{task}`; the file has {tasks}")]
    UnknownTask {
        /// The task that was asked for.
        task: String,
        /// Those that the file has.
        tasks: String,
    },
}

/// What is wrong with a line of a question file.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It has not the form of a question.
    #[error("{0}; a line is a JSON object with id, task, messages, answer and metric (exact, words, boxes or items)")]
    Json(#[from] serde_json::Error),
    /// A name is missing.
    #[error("`{field}` is empty; give it a name")]
    EmptyField {
        /// The field.
        field: &'static str,
    },
    /// An id is used twice.
    #[error("the id `{id}` is that of line {first}; give each question its own")]
    DuplicateId {
        /// The id.
        id: String,
        /// The line that has it.
        first: usize,
    },
    /// A task is scored in two ways, which have no common mean.
    #[error("the task `{task}` is scored by `{first}` before and by `{metric}` here; name one of them otherwise")]
    MixedMetrics {
        /// The task.
        task: String,
        /// The metric of earlier lines.
        first: Metric,
        /// The metric of this line.
        metric: Metric,
    },
    /// Nothing can be compared with the reference answer.
    #[error("`answer`, the reference for `{metric}`, {reason}")]
    Reference {
        /// The metric.
        metric: Metric,
        /// What the reference has to be.
        reason: &'static str,
    },
    /// No question is asked.
    #[error("the last of `messages` must be the user's question")]
    LastMessage,
    /// A picture or video in a message that cannot have one.
    #[error("a picture or video stands in a message that is not the user's; move it to the user's message")]
    MediaOfOthers,
    /// A file that is not in the folder.
    #[error(
        "{} is outside the folder of the question file; give a path relative to that folder, without `..`",
        media.display()
    )]
    Outside {
        /// The path as it was given.
        media: PathBuf,
    },
    /// A file that is not there.
    #[error("{}: {source}; pictures and videos lie beside the question file", media.display())]
    Media {
        /// The path as it was given.
        media: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}
