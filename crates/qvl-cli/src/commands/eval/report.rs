//! What an evaluation prints: a table for people or an object for programs.

use std::path::Path;
use std::time::Duration;

use qvl::eval::{Tally, TaskScore};
use serde::Serialize;

use crate::commands::questions::print_or_write;

/// The scores and what they were measured on; serialised, it is the object of `--json`.
#[derive(Debug, Serialize)]
pub struct Report {
    model: String,
    data: String,
    tasks: Vec<TaskScore>,
    /// In percent; null if nothing was answered.
    overall: Option<f64>,
    /// Questions that were answered.
    questions: usize,
    /// Whether that is all of them.
    pub complete: bool,
    /// From the first question to the last answer, without loading the model.
    seconds: f64,
}

impl Report {
    /// The report of `tally`, where `asked` questions were to be answered by the model at `package`.
    pub fn new(package: Option<&Path>, data: &Path, tally: &Tally, asked: usize, elapsed: Duration) -> Self {
        Self {
            model: package.map_or_else(|| qvl_demo::NAME.to_owned(), |path| path.display().to_string()),
            data: data.display().to_string(),
            tasks: tally.task_scores(),
            overall: tally.overall(),
            questions: tally.questions(),
            complete: tally.questions() == asked,
            seconds: elapsed.as_millis() as f64 / 1000.0,
        }
    }

    /// Prints the table, or for `-` the object instead, and writes the object to `json` if that is a file.
    ///
    /// # Errors
    /// If stdout or the file cannot be written.
    pub fn print_or_write(&self, json: Option<&Path>) -> anyhow::Result<()> {
        print_or_write(self, &self.table(), json, "scores")
    }

    fn table(&self) -> String {
        let width = self.tasks.iter().map(|task| task.task.chars().count()).max().unwrap_or(0).max("overall".len());
        let mut text = format!("{:width$}  metric  questions  score %\n", "task");
        for TaskScore { task, metric, questions, score } in &self.tasks {
            text.push_str(&format!("{task:width$}  {metric:6}  {questions:>9}  {score:>7.1}\n"));
        }
        if let Some(overall) = self.overall {
            text.push_str(&format!("{:width$}  {:6}  {:>9}  {overall:>7.1}\n", "overall", "", self.questions));
        }
        if !self.complete {
            text.push_str("(stopped: not all questions were answered)\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use qvl::eval::Metric;

    use super::*;

    fn report(tasks: Vec<TaskScore>, complete: bool) -> Report {
        let overall = (!tasks.is_empty()).then_some(55.0);
        Report { model: String::new(), data: String::new(), tasks, overall, questions: 21, complete, seconds: 1.0 }
    }

    #[test]
    fn columns_are_aligned() {
        let task =
            |task: &str, questions, score| TaskScore { task: task.to_owned(), metric: Metric::Exact, questions, score };
        let table = report(vec![task("printed words", 20, 10.0), task("colour", 1, 100.0)], true).table();
        assert_eq!(
            table,
            "task           metric  questions  score %\n\
             printed words  exact          20     10.0\n\
             colour         exact           1    100.0\n\
             overall                       21     55.0\n"
        );
    }

    #[test]
    fn an_evaluation_that_was_stopped_says_so() {
        let table = report(Vec::new(), false).table();
        assert!(
            table.ends_with("(stopped: not all questions were answered)\n") && !table.contains("overall"),
            "{table}"
        );
    }
}
