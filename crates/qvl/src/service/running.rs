//! A job that has a place.

use std::ops::ControlFlow;
use std::time::Instant;

use qvl_engine::Engine;
use qvl_processor::{Prompt, Tokenizer};

use super::inbox::Ticket;
use super::job::{Event, Job};
use crate::answer::{FinishReason, Timings};
use crate::answer_state::{AnswerState, Step};
use crate::cached_prompt::CachedToken;
use crate::decoding;
use crate::error::Error;
use crate::pipeline::FIRST_ANSWER_TOKENS;
use crate::pixel_source::PixelSource;
use crate::prompt_lookup::Speculation;
use crate::prompt_pass::PromptPass;
use crate::sequence::Sequence;

/// A job on its way from a sequence, through its prompt, to its answer.
pub(super) struct Running {
    prompt: Prompt,
    on_event: Box<dyn FnMut(Event) + Send>,
    /// Tokens that the sequence will probably hold.
    pub(super) expected_tokens: usize,
    /// None as long as it waits for a beginning that another job computes.
    pub(super) sequence: Option<Sequence>,
    pub(super) pass: PromptPass,
    answer: AnswerState,
    /// When the first logits were there.
    decoding_since: Option<Instant>,
    failure: Option<Error>,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Finished,
    Cancelled,
    Failed,
}

impl Running {
    pub(super) fn new(ticket: Ticket) -> Self {
        let Ticket { job, layout, limit } = ticket;
        let Job { mut prompt, generation, logprobs, grammar, cancel, on_event } = job;
        let answer = AnswerState::new(&prompt, &generation, limit, &cancel);
        let answer = answer.with_grammar(grammar.as_deref()).with_logprobs(logprobs);
        let pixels = PixelSource::take(&mut prompt);
        Self {
            expected_tokens: expected_tokens(layout.tokens.len(), limit),
            prompt,
            on_event,
            sequence: None,
            pass: PromptPass::new(layout, pixels, Timings::default()),
            answer,
            decoding_since: None,
            failure: None,
        }
    }

    /// Gives it the sequence to compute its prompt in.
    pub(super) fn start(&mut self, sequence: Sequence) {
        let cached_tokens = sequence.len();
        self.sequence = Some(sequence);
        (self.on_event)(Event::Started { cached_tokens });
    }

    /// What its sequence holds.
    pub(super) fn cached(&self) -> &[CachedToken] {
        self.sequence.as_ref().map_or(&[], Sequence::cached)
    }

    /// What its sequence will hold before long.
    pub(super) fn promised(&self) -> &[CachedToken] {
        if self.is_prefilling() { &self.pass.layout().tokens } else { &[] }
    }

    /// Whether it has a sequence, and its prompt is not whole in it.
    pub(super) fn is_prefilling(&self) -> bool {
        self.sequence.is_some() && self.decoding_since.is_none() && !self.is_over()
    }

    /// Whether the next thing it needs is a decode step.
    pub(super) fn is_decoding(&self) -> bool {
        self.decoding_since.is_some() && !self.is_over()
    }

    /// Whether there is nothing left to do for it.
    pub(super) fn is_over(&self) -> bool {
        self.failure.is_some() || self.answer.finished().is_some()
    }

    /// Ends it if somebody wants it to.
    pub(super) fn look_for_cancel(&mut self) {
        self.answer.look_for_cancel();
    }

    /// Ends it.
    pub(super) fn fail(&mut self, error: impl Into<Error>) {
        self.failure = Some(error.into());
    }

    /// Takes the logits after the whole prompt, or after the last token.
    pub(super) fn take(&mut self, tokenizer: &Tokenizer, logits: &[f32]) {
        self.decoding_since.get_or_insert_with(Instant::now);
        let on_event = &mut self.on_event;
        if let Err(error) = self.answer.take(tokenizer, logits, &mut |step| tell(on_event, step)) {
            self.fail(error);
        }
    }

    /// Does a decode step of its own.
    pub(super) fn step(&mut self, engine: &mut dyn Engine, tokenizer: &Tokenizer) {
        let Some(sequence) = &mut self.sequence else { return };
        let on_event = &mut self.on_event;
        let result = decoding::step(engine, sequence, tokenizer, &mut self.answer, &mut |step| tell(on_event, step));
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// What it puts into a decode step for several: its sequence, its last token and that one's position.
    pub(super) fn row(&mut self) -> Option<(&mut Sequence, u32, i64)> {
        let (token, position) = self.answer.last()?;
        self.sequence.as_mut().map(|sequence| (sequence, token, position))
    }

    /// What it counts for: tokens of its answer, and what prompt lookup did.
    pub(super) fn generated(&self) -> (usize, Speculation) {
        (self.answer.generated().len(), self.answer.speculation())
    }

    /// How it ended; it is over.
    pub(super) fn outcome(&self) -> Outcome {
        match self.answer.finished() {
            _ if self.failure.is_some() => Outcome::Failed,
            Some(FinishReason::Stop | FinishReason::Length) => Outcome::Finished,
            Some(FinishReason::Cancelled) | None => Outcome::Cancelled,
        }
    }

    /// Tells how it ended.
    pub(super) fn finish(mut self) {
        let mut timings = self.pass.timings;
        timings.decode = self.decoding_since.map(|since| since.elapsed()).unwrap_or_default();
        let event = match self.failure {
            Some(error) => Event::Failed(error),
            None => Event::Finished(self.answer.into_answer(&self.prompt, timings).0),
        };
        (self.on_event)(event);
    }
}

/// Tokens that a sequence for a prompt and its answer will probably hold.
pub(super) fn expected_tokens(prompt: usize, limit: usize) -> usize {
    prompt + limit.min(FIRST_ANSWER_TOKENS)
}

fn tell(on_event: &mut Box<dyn FnMut(Event) + Send>, step: Step) -> ControlFlow<()> {
    on_event(Event::Token { id: step.token, text: step.text, logprobs: step.logprobs });
    ControlFlow::Continue(())
}
