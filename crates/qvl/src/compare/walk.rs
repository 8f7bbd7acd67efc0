//! Both models side by side over the same tokens.

use super::distribution::{Distribution, most_likely};
use super::error::CompareError;
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::forced::ForcedDecoding;

/// What both models make of one token after the same tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenMeasure {
    /// KL(reference ‖ candidate) of the distributions that predict it, in nats.
    pub kl: f64,
    /// Negative log-likelihood by the reference, in nats.
    pub reference_nll: f64,
    /// Negative log-likelihood by the candidate, in nats.
    pub candidate_nll: f64,
    /// Whether both find the same token most likely.
    pub same_top: bool,
}

/// The reference's greedy answer, and what the candidate makes of it.
#[derive(Debug)]
pub(super) struct GreedyWalk {
    pub(super) answer: Vec<u32>,
    /// One for each token of the answer.
    pub(super) measures: Vec<TokenMeasure>,
    /// How many tokens the candidate would have said as well, and what it says instead of the next; none if it says all.
    pub(super) parting: Option<(usize, u32)>,
}

/// When a greedy answer ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending<'a> {
    /// Any of these is the last token.
    pub(super) end_tokens: &'a [u32],
    /// Most tokens, an end token included.
    pub(super) limit: usize,
}

impl Ending<'_> {
    pub(super) fn is_reached(&self, answer: &[u32]) -> bool {
        answer.len() >= self.limit || self.has_end_token(answer)
    }

    pub(super) fn has_end_token(&self, answer: &[u32]) -> bool {
        answer.last().is_some_and(|token| self.end_tokens.contains(token))
    }
}

/// Two models after the same prompt. What returns nothing was cancelled.
pub(super) struct Walk<'a> {
    pub(super) reference: ForcedDecoding<'a>,
    pub(super) candidate: ForcedDecoding<'a>,
    pub(super) cancel: &'a CancelFlag,
}

impl Walk<'_> {
    /// The reference answers greedily, and the candidate is led along.
    ///
    /// # Errors
    /// If an engine fails or logits are broken.
    pub(super) fn along_the_reference(&mut self, ending: Ending<'_>) -> Result<Option<GreedyWalk>, CompareError> {
        let mut walk = GreedyWalk { answer: Vec::new(), measures: Vec::new(), parting: None };
        loop {
            let (reference, candidate) = self.distributions()?;
            let token = reference.most_likely();
            if walk.parting.is_none() && candidate.most_likely() != token {
                walk.parting = Some((walk.answer.len(), candidate.most_likely()));
            }
            walk.measures.push(measure(&reference, &candidate, token));
            walk.answer.push(token);
            if ending.is_reached(&walk.answer) {
                return Ok(Some(walk));
            }
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            self.push(token)?;
        }
    }

    /// The candidate's own greedy answer, which shares its beginning with the reference's.
    ///
    /// # Errors
    /// If the engine fails or logits are broken.
    pub(super) fn candidate_answer(
        &mut self,
        walk: &GreedyWalk,
        ending: Ending<'_>,
    ) -> Result<Option<Vec<u32>>, CompareError> {
        let Some((agreed, mut token)) = walk.parting else { return Ok(Some(walk.answer.clone())) };
        let mut answer = walk.answer[..agreed].to_vec();
        self.candidate.rewind(agreed).map_err(CompareError::Candidate)?;
        loop {
            answer.push(token);
            if ending.is_reached(&answer) {
                return Ok(Some(answer));
            }
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            self.candidate.push(token).map_err(CompareError::Candidate)?;
            token = most_likely(self.candidate.logits()).map_err(candidate_error)?;
        }
    }

    /// Both models are led along `tokens` from the end of the prompt.
    ///
    /// # Errors
    /// If an engine fails or logits are broken.
    pub(super) fn along(&mut self, tokens: &[u32]) -> Result<Option<Vec<TokenMeasure>>, CompareError> {
        self.reference.rewind(0).map_err(CompareError::Reference)?;
        self.candidate.rewind(0).map_err(CompareError::Candidate)?;
        let mut measures = Vec::with_capacity(tokens.len());
        for (index, &token) in tokens.iter().enumerate() {
            let (reference, candidate) = self.distributions()?;
            measures.push(measure(&reference, &candidate, token));
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            // Nothing is asked after the last one.
            if index + 1 < tokens.len() {
                self.push(token)?;
            }
        }
        Ok(Some(measures))
    }

    fn distributions(&self) -> Result<(Distribution, Distribution), CompareError> {
        let reference = Distribution::new(self.reference.logits());
        let reference = reference.map_err(|error| CompareError::Reference(error.into()))?;
        Ok((reference, Distribution::new(self.candidate.logits()).map_err(candidate_error)?))
    }

    fn push(&mut self, token: u32) -> Result<(), CompareError> {
        self.reference.push(token).map_err(CompareError::Reference)?;
        self.candidate.push(token).map_err(CompareError::Candidate)
    }
}

fn candidate_error(error: impl Into<Error>) -> CompareError {
    CompareError::Candidate(error.into())
}

fn measure(reference: &Distribution, candidate: &Distribution, token: u32) -> TokenMeasure {
    TokenMeasure {
        kl: reference.divergence(candidate),
        reference_nll: reference.surprise(token),
        candidate_nll: candidate.surprise(token),
        same_top: reference.most_likely() == candidate.most_likely(),
    }
}
