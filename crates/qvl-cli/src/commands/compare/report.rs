//! What a comparison found, for people and for programs.

use std::path::Path;
use std::time::Duration;

use qvl::compare::{Comparison, PositionKl, Summary, VisionSummary};
use serde::Serialize;

use super::table::table;
use crate::args::CompareArgs;
use crate::commands::questions::print_or_write;

/// All figures and what they were measured on; serialised, it is the object of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub reference: String,
    pub candidate: String,
    data: String,
    max_new_tokens: u32,
    /// Null if nothing was compared.
    pub all: Option<Summary>,
    /// The questions without a picture or video; null if there are none.
    pub text_only: Option<Summary>,
    /// Those with one.
    pub visual: Option<Summary>,
    pub tasks: Vec<TaskSummary>,
    /// Null if no picture was shown.
    pub vision: Option<VisionSummary>,
    /// The divergence by the place in the reference's greedy answers.
    pub by_position: Vec<PositionKl>,
    /// Questions that were compared.
    questions: usize,
    /// Whether that is all of them.
    pub complete: bool,
    /// From the first question to the last, without loading the models.
    seconds: f64,
}

/// The questions of one task.
#[derive(Debug, Serialize)]
pub struct TaskSummary {
    pub task: String,
    #[serde(flatten)]
    pub summary: Summary,
}

impl Report {
    /// The report of `comparison`, where `asked` questions were to be compared.
    pub fn new(args: &CompareArgs, data: &Path, comparison: &Comparison, asked: usize, elapsed: Duration) -> Self {
        let tasks = comparison.by_task().into_iter();
        Self {
            reference: args.reference.display().to_string(),
            candidate: args.candidate.display().to_string(),
            data: data.display().to_string(),
            max_new_tokens: args.max_new_tokens,
            all: comparison.overall(),
            text_only: comparison.of_kind(false),
            visual: comparison.of_kind(true),
            tasks: tasks.map(|(task, summary)| TaskSummary { task, summary }).collect(),
            vision: comparison.vision(),
            by_position: comparison.by_position(),
            questions: comparison.questions(),
            complete: comparison.questions() == asked,
            seconds: elapsed.as_millis() as f64 / 1000.0,
        }
    }

    /// All groups that have questions, each with its name.
    pub fn groups(&self) -> Vec<(String, &Summary)> {
        let kinds = [("all", &self.all), ("text only", &self.text_only), ("visual", &self.visual)];
        let kinds = kinds.into_iter().filter_map(|(name, summary)| Some((name.to_owned(), summary.as_ref()?)));
        let tasks = self.tasks.iter().map(|task| (format!("task {}", task.task), &task.summary));
        kinds.chain(tasks).collect()
    }

    /// Prints the table, or for `-` the object instead, and writes the object to `json` if that is a file.
    ///
    /// # Errors
    /// If stdout or the file cannot be written.
    pub fn print_or_write(&self, json: Option<&Path>) -> anyhow::Result<()> {
        print_or_write(self, &table(self), json, "figures")
    }
}
