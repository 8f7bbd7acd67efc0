//! A group of questions in a few numbers.

use serde::Serialize;

use super::models::QuestionComparison;
use super::statistics::{Spread, mean, percent};
use super::walk::TokenMeasure;

/// The same measure of both models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PerModel<T> {
    /// Of the reference.
    pub reference: T,
    /// Of the candidate.
    pub candidate: T,
}

/// How far the candidate is from its reference on a group of questions. Tokens count the same in whichever question
/// they are, but for [`GreedyAgreement`], where questions do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Questions of the group.
    pub questions: usize,
    /// Tokens of the reference's greedy answers, which `kl`, `top1_percent` and `perplexity` are measured on.
    pub tokens: usize,
    /// KL(reference ‖ candidate) of the next-token distributions, in nats.
    pub kl: Spread,
    /// How often both find the same token most likely.
    pub top1_percent: f64,
    /// exp of the mean negative log-likelihood of the reference's greedy answers.
    pub perplexity: PerModel<f64>,
    /// The answers of the question file; null if there are none.
    pub given_answers: Option<GivenAnswers>,
    /// The candidate's own greedy answers beside the reference's.
    pub greedy: GreedyAgreement,
    /// Greedy answers that end at the token limit while they repeat themselves: for some n up to 16, their last
    /// max(4n, 16) tokens have the period n.
    pub endless_percent: PerModel<f64>,
}

/// Perplexity on the answers that the question file gives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GivenAnswers {
    /// Their tokens, an end token for each answer included.
    pub tokens: usize,
    /// exp of their mean negative log-likelihood.
    pub perplexity: PerModel<f64>,
}

/// How far two greedy answers to the same question agree; a mean over the questions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GreedyAgreement {
    /// Tokens until they differ.
    pub tokens: f64,
    /// That as a share of the reference's answer.
    pub percent: f64,
    /// How many answers agree to their end.
    pub identical_percent: f64,
}

impl Summary {
    /// Sums up; none of no questions.
    pub(super) fn of(questions: &[&QuestionComparison]) -> Option<Self> {
        let tokens: Vec<&TokenMeasure> = questions.iter().flat_map(|question| &question.reference_answer).collect();
        let given: Vec<&TokenMeasure> = questions.iter().flat_map(|question| &question.given_answer).collect();
        Some(Self {
            questions: questions.len(),
            tokens: tokens.len(),
            kl: Spread::of(tokens.iter().map(|token| token.kl).collect())?,
            top1_percent: percent(tokens.iter().map(|token| token.same_top))?,
            perplexity: perplexity(&tokens)?,
            given_answers: perplexity(&given).map(|perplexity| GivenAnswers { tokens: given.len(), perplexity }),
            greedy: GreedyAgreement::of(questions)?,
            endless_percent: PerModel {
                reference: percent(questions.iter().map(|question| question.endless.reference))?,
                candidate: percent(questions.iter().map(|question| question.endless.candidate))?,
            },
        })
    }
}

impl GreedyAgreement {
    fn of(questions: &[&QuestionComparison]) -> Option<Self> {
        let pairs: Vec<(usize, usize)> =
            questions.iter().map(|question| (question.agreed_tokens, question.reference_answer.len())).collect();
        Some(Self {
            tokens: mean(pairs.iter().map(|&(agreed, _)| agreed as f64))?,
            percent: mean(pairs.iter().map(|&(agreed, all)| 100.0 * agreed as f64 / all.max(1) as f64))?,
            identical_percent: percent(pairs.iter().map(|(agreed, all)| agreed == all))?,
        })
    }
}

fn perplexity(tokens: &[&TokenMeasure]) -> Option<PerModel<f64>> {
    Some(PerModel {
        reference: mean(tokens.iter().map(|token| token.reference_nll))?.exp(),
        candidate: mean(tokens.iter().map(|token| token.candidate_nll))?.exp(),
    })
}
