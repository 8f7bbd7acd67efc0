//! Evaluation: questions with reference answers, what a model answers, and how near that comes.
//!
//! [`read_questions`] checks a whole file before any model runs, [`ask`] answers one question greedily,
//! [`Metric`] compares, and [`Tally`] sums up by task.

mod ask;
mod error;
mod file;
mod metric;
mod question;
mod tally;

pub(crate) use ask::read_media_file;
pub use ask::{AskOptions, DEFAULT_MAX_NEW_TOKENS, ask, read_media};
pub use error::{LineError, QuestionsError};
pub use file::{read_questions, select};
pub use metric::Metric;
pub use question::{MediaFile, Question};
pub use tally::{Tally, TaskScore};
