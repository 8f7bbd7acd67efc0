//! All questions so far.

use serde::Serialize;

use super::features::{VisionSummary, VisionTally};
use super::models::QuestionComparison;
use super::statistics::Spread;
use super::summary::Summary;

/// The divergence at one place of the reference's greedy answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PositionKl {
    /// The place, counted from 1.
    pub position: usize,
    /// Answers that are so long.
    pub answers: usize,
    /// KL(reference ‖ candidate) of the next-token distributions there, in nats.
    pub kl: Spread,
}

/// What was found so far. It keeps some numbers for each token, and neither logits nor features.
#[derive(Debug, Default)]
pub struct Comparison {
    questions: Vec<QuestionComparison>,
    vision: VisionTally,
}

impl Comparison {
    /// Counts a question.
    pub fn add(&mut self, question: QuestionComparison) {
        question.pictures.iter().for_each(|picture| self.vision.add(picture));
        self.questions.push(question);
    }

    /// The number of questions.
    pub fn questions(&self) -> usize {
        self.questions.len()
    }

    /// All questions in a few numbers; none before the first.
    pub fn overall(&self) -> Option<Summary> {
        self.summary(|_| true)
    }

    /// The questions with a picture or video, or those without.
    pub fn of_kind(&self, is_visual: bool) -> Option<Summary> {
        self.summary(|question| question.is_visual == is_visual)
    }

    /// Each task, in the order in which they came up.
    pub fn by_task(&self) -> Vec<(String, Summary)> {
        let mut tasks: Vec<&str> = Vec::new();
        for question in &self.questions {
            if !tasks.contains(&question.task.as_str()) {
                tasks.push(&question.task);
            }
        }
        let summary = |task: &str| Some((task.to_owned(), self.summary(|question| question.task == task)?));
        tasks.into_iter().filter_map(summary).collect()
    }

    /// The divergence at each place of the answers.
    pub fn by_position(&self) -> Vec<PositionKl> {
        let longest = self.questions.iter().map(|question| question.reference_answer.len()).max().unwrap_or(0);
        (0..longest).filter_map(|index| self.at(index)).collect()
    }

    fn at(&self, index: usize) -> Option<PositionKl> {
        let values = self.questions.iter().filter_map(|question| question.reference_answer.get(index));
        let values: Vec<f64> = values.map(|token| token.kl).collect();
        Some(PositionKl { position: index + 1, answers: values.len(), kl: Spread::of(values)? })
    }

    /// The vision features; none before the first picture.
    pub fn vision(&self) -> Option<VisionSummary> {
        self.vision.summary()
    }

    fn summary(&self, is_wanted: impl Fn(&QuestionComparison) -> bool) -> Option<Summary> {
        let questions: Vec<&QuestionComparison> =
            self.questions.iter().filter(|question| is_wanted(question)).collect();
        Summary::of(&questions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{PerModel, TokenMeasure};

    fn token(kl: f64, nll: f64, same_top: bool) -> TokenMeasure {
        TokenMeasure { kl, reference_nll: nll, candidate_nll: 2.0 * nll, same_top }
    }

    fn question(task: &str, is_visual: bool, tokens: Vec<TokenMeasure>, agreed_tokens: usize) -> QuestionComparison {
        QuestionComparison {
            task: task.to_owned(),
            is_visual,
            reference_answer: tokens,
            given_answer: vec![token(9.0, 1.0, true)],
            agreed_tokens,
            endless: PerModel { reference: false, candidate: is_visual },
            pictures: Vec::new(),
        }
    }

    fn comparison() -> Comparison {
        let mut comparison = Comparison::default();
        comparison.add(question("read", true, vec![token(1.0, 0.0, true), token(3.0, 2.0, false)], 1));
        comparison.add(question("talk", false, vec![token(2.0, 4.0, true)], 1));
        comparison
    }

    #[test]
    fn tokens_count_the_same_and_answers_count_the_same_for_agreement() {
        let summary = comparison().overall().unwrap();
        assert_eq!((summary.questions, summary.tokens), (2, 3));
        assert_eq!((summary.kl.mean, summary.kl.median), (2.0, 2.0));
        assert!((summary.top1_percent - 200.0 / 3.0).abs() < 1e-9);
        assert_eq!(summary.perplexity, PerModel { reference: 2.0_f64.exp(), candidate: 4.0_f64.exp() });
        let given = summary.given_answers.unwrap();
        assert_eq!((given.tokens, given.perplexity.candidate), (2, 2.0_f64.exp()));
        assert_eq!(
            (summary.greedy.tokens, summary.greedy.percent, summary.greedy.identical_percent),
            (1.0, 75.0, 50.0)
        );
        assert_eq!(summary.endless_percent, PerModel { reference: 0.0, candidate: 50.0 });
    }

    #[test]
    fn groups_are_apart() {
        let comparison = comparison();
        let mean = |summary: Option<Summary>| summary.map(|summary| summary.kl.mean);
        assert_eq!((mean(comparison.of_kind(true)), mean(comparison.of_kind(false))), (Some(2.0), Some(2.0)));
        let tasks: Vec<_> = comparison.by_task().into_iter().map(|(task, summary)| (task, summary.tokens)).collect();
        assert_eq!(tasks, [("read".to_owned(), 2), ("talk".to_owned(), 1)]);
        let positions: Vec<_> = comparison.by_position().iter().map(|p| (p.position, p.answers, p.kl.mean)).collect();
        assert_eq!(positions, [(1, 2, 1.5), (2, 1, 3.0)]);
    }

    #[test]
    fn nothing_is_summed_up_to_nothing() {
        let comparison = Comparison::default();
        assert_eq!((comparison.overall(), comparison.vision()), (None, None));
        assert!(comparison.by_task().is_empty() && comparison.by_position().is_empty());
    }
}
