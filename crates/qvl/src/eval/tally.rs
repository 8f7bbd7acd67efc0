//! Scores summed up by task.

use serde::Serialize;

use super::metric::Metric;
use super::question::Question;

/// The score of a task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskScore {
    /// The task.
    pub task: String,
    /// How its answers are compared.
    pub metric: Metric,
    /// Questions that were answered.
    pub questions: usize,
    /// The mean over them, in percent.
    pub score: f64,
}

/// Scores so far, tasks in the order in which they came up.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    tasks: Vec<Sum>,
}

#[derive(Debug, Clone)]
struct Sum {
    task: String,
    metric: Metric,
    questions: usize,
    /// Of scores from 0 to 1.
    total: f64,
}

impl Tally {
    /// Counts the score, from 0 to 1, of an answer to `question`.
    pub fn add(&mut self, question: &Question, score: f64) {
        let place = self.tasks.iter().position(|sum| sum.task == question.task).unwrap_or_else(|| {
            let (task, metric) = (question.task.clone(), question.metric);
            self.tasks.push(Sum { task, metric, questions: 0, total: 0.0 });
            self.tasks.len() - 1
        });
        let sum = &mut self.tasks[place];
        sum.questions += 1;
        sum.total += score;
    }

    /// The score of each task.
    pub fn task_scores(&self) -> Vec<TaskScore> {
        let score = |sum: &Sum| TaskScore {
            task: sum.task.clone(),
            metric: sum.metric,
            questions: sum.questions,
            score: 100.0 * sum.total / sum.questions as f64,
        };
        self.tasks.iter().map(score).collect()
    }

    /// Questions that were answered.
    pub fn questions(&self) -> usize {
        self.tasks.iter().map(|sum| sum.questions).sum()
    }

    /// The mean of the tasks' scores in percent, so that each task counts the same; `None` before the first answer.
    pub fn overall(&self) -> Option<f64> {
        let scores = self.task_scores();
        (!scores.is_empty()).then(|| scores.iter().map(|task| task.score).sum::<f64>() / scores.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_counts_the_same() {
        let question = |task: &str| Question {
            id: String::new(),
            task: task.to_owned(),
            messages: Vec::new(),
            media: Vec::new(),
            answer: String::new(),
            metric: Metric::Words,
        };
        let mut tally = Tally::default();
        assert_eq!(tally.overall(), None);
        for (task, score) in [("read", 0.5), ("count", 1.0), ("read", 0.0), ("read", 0.25)] {
            tally.add(&question(task), score);
        }
        let scores: Vec<_> =
            tally.task_scores().into_iter().map(|task| (task.task, task.questions, task.score)).collect();
        assert_eq!(scores, [("read".to_owned(), 3, 25.0), ("count".to_owned(), 1, 100.0)]);
        assert_eq!((tally.overall(), tally.questions()), (Some(62.5), 4));
    }
}
