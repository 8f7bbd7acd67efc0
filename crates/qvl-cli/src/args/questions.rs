//! The questions of `qvl eval` and `qvl compare`.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use qvl::eval::{Question, read_questions, select};

use super::Cli;

/// Which questions are asked.
#[derive(Debug, Args)]
pub struct QuestionArgs {
    /// The questions with their reference answers
    #[arg(long, value_name = "QUESTIONS.jsonl")]
    pub data: Option<PathBuf>,
    /// Only the questions of this task; may be given several times
    #[arg(long, value_name = "NAME")]
    pub task: Vec<String>,
    /// Only the first N questions of each task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

impl QuestionArgs {
    /// The question file.
    ///
    /// # Errors
    /// A usage error that says what to give.
    pub fn file(&self) -> Result<&Path, clap::Error> {
        let missing = "which questions? Give --data QUESTIONS.jsonl; those that the demo model was measured with are \
                       demo/heldout/questions.jsonl in the source tree";
        let usage_error = || Cli::command().error(ErrorKind::MissingRequiredArgument, missing);
        self.data.as_deref().ok_or_else(usage_error)
    }

    /// The questions that were asked for.
    ///
    /// # Errors
    /// If no file was given, it is not usable, or it has no question of a task.
    pub fn read(&self) -> anyhow::Result<Vec<Question>> {
        Ok(select(read_questions(self.file()?)?, &self.task, self.limit.map(|limit| limit as usize))?)
    }
}
