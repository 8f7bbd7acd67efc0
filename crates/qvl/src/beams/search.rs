//! Which of many growing answers go on, and which are whole. It knows logits, and nothing of the engine that they come from.

use qvl_processor::Tokenizer;

use super::candidates::{Candidate, Candidates};
use super::settings::BeamSearch;
use crate::answer::FinishReason;
use crate::generation::GenerationConfig;
use crate::sampler::{SampleError, Sampler, SeenTokens};
use crate::text_stream::TextStream;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Beam {
    pub(super) tokens: Vec<u32>,
    /// The sum of their log-probabilities.
    score: f32,
    stream: TextStream,
}

impl Beam {
    /// What answers are ranked by; see [`BeamSearch::length_penalty`].
    fn rank(&self, length_penalty: f32) -> f32 {
        self.score / (self.tokens.len() as f32).powf(length_penalty)
    }
}

/// A whole answer.
#[derive(Debug)]
struct Whole {
    beam: Beam,
    rank: f32,
    reason: FinishReason,
}

/// The search for one prompt's most likely answer, in the order of steps of `transformers` 5.
#[derive(Debug)]
pub(super) struct Search<'a> {
    settings: &'a BeamSearch,
    tokenizer: &'a Tokenizer,
    sampler: Sampler,
    /// Tokens that end an answer.
    ends: &'a [u32],
    /// Most tokens of an answer.
    limit: usize,
    /// Those that grow, best first; before the first token, the empty one.
    running: Vec<Beam>,
    /// What each of them, with the prompt, has seen.
    seen: Vec<SeenTokens>,
    /// The best whole ones, best first.
    whole: Vec<Whole>,
    is_over: bool,
}

impl<'a> Search<'a> {
    /// Nothing yet, after a prompt that was `seen`.
    pub(super) fn new(
        settings: &'a BeamSearch,
        config: &'a GenerationConfig,
        tokenizer: &'a Tokenizer,
        limit: usize,
        seen: SeenTokens,
    ) -> Self {
        let empty = Beam { tokens: Vec::new(), score: 0.0, stream: TextStream::new(&config.stop) };
        Self {
            settings,
            tokenizer,
            sampler: Sampler::new(&config.sampling),
            ends: if config.ignore_eos { &[] } else { &config.eos_token_ids },
            limit,
            running: vec![empty],
            seen: vec![seen],
            whole: Vec::new(),
            is_over: false,
        }
    }

    /// The answers that grow, best first.
    pub(super) fn running(&self) -> &[Beam] {
        &self.running
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes the next token of every running answer by the logits after it, a row of `vocab` for each. Returns which of the former
    /// answers each of the new ones grew from.
    ///
    /// # Errors
    /// If the logits are broken.
    pub(super) fn advance(&mut self, logits: &[f32], vocab: usize) -> Result<Vec<usize>, SampleError> {
        let beams = self.settings.num_beams;
        let (mut running, mut parents) = (Vec::with_capacity(beams), Vec::with_capacity(beams));
        let mut ended = Vec::new();
        for (place, candidate) in self.candidates(logits, vocab)?.into_iter().enumerate() {
            let beam = self.grow(candidate);
            match self.end_of(&beam) {
                None if running.len() < beams => {
                    running.push(beam);
                    parents.push(candidate.parent);
                }
                // What lies further behind is there so that enough go on, and not to be found.
                Some(reason) if place < beams => ended.push((beam, reason)),
                _ => {}
            }
        }
        self.keep_best(ended);
        self.seen = parents.iter().zip(&running).map(|(&parent, beam)| self.seen_by(parent, beam)).collect();
        self.running = running;
        self.is_over = self.running.is_empty() || self.is_good_enough();
        Ok(parents)
    }

    /// The best continuations: so many that enough of them go on even if every best one ends.
    fn candidates(&self, logits: &[f32], vocab: usize) -> Result<Vec<Candidate>, SampleError> {
        let mut candidates = Candidates::new(self.settings.num_beams * (1 + self.ends.len()).max(2));
        for (parent, (beam, row)) in self.running.iter().zip(logits.chunks_exact(vocab)).enumerate() {
            let log_probabilities = self.sampler.log_probabilities(row, &self.seen[parent])?;
            candidates.offer(parent, beam.score, &log_probabilities);
        }
        Ok(candidates.into_list())
    }

    fn grow(&self, candidate: Candidate) -> Beam {
        let mut beam = self.running[candidate.parent].clone();
        beam.score = candidate.score;
        beam.tokens.push(candidate.token);
        if !self.ends.contains(&candidate.token) {
            beam.stream.push(self.tokenizer, candidate.token);
        }
        beam
    }

    fn end_of(&self, beam: &Beam) -> Option<FinishReason> {
        let has_end = beam.tokens.last().is_some_and(|token| self.ends.contains(token));
        match () {
            () if has_end || beam.stream.stopped() => Some(FinishReason::Stop),
            () if beam.tokens.len() >= self.limit => Some(FinishReason::Length),
            () => None,
        }
    }

    fn keep_best(&mut self, ended: Vec<(Beam, FinishReason)>) {
        for (beam, reason) in ended {
            let rank = beam.rank(self.settings.length_penalty);
            let place = self.whole.partition_point(|other| other.rank >= rank);
            self.whole.insert(place, Whole { beam, rank, reason });
        }
        self.whole.truncate(self.settings.num_beams);
    }

    fn seen_by(&self, parent: usize, beam: &Beam) -> SeenTokens {
        let mut seen = self.seen[parent].clone();
        beam.tokens.last().into_iter().for_each(|&token| seen.generated(token));
        seen
    }

    /// Whether there are enough whole answers, none of which the best that grows would push out if it ended now.
    fn is_good_enough(&self) -> bool {
        let worst = self.whole.last().filter(|_| self.whole.len() == self.settings.num_beams);
        let hope = self.running.first().map(|beam| beam.rank(self.settings.length_penalty));
        worst.is_some_and(|worst| self.settings.early_stopping || hope.is_none_or(|hope| hope <= worst.rank))
    }

    /// The tokens and the text of the best answer, and why it ended: of the best that grows, if none is whole.
    pub(super) fn into_best(self) -> (Vec<u32>, String, FinishReason) {
        let whole = self.whole.into_iter().next().map(|whole| (whole.beam, whole.reason));
        let best = whole.or_else(|| Some((self.running.into_iter().next()?, FinishReason::Cancelled)));
        let Some((Beam { tokens, mut stream, .. }, reason)) = best else {
            return (Vec::new(), String::new(), FinishReason::Cancelled);
        };
        stream.finish();
        (tokens, stream.into_text(), reason)
    }
}
