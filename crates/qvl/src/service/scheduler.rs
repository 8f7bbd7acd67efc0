//! The thread's loop.

use std::time::Instant;

use super::beginning::Beginning;
use super::inbox::{Inbox, Ticket};
use super::kept::Kept;
use super::options::ServiceOptions;
use super::running::{Outcome, Running, expected_tokens};
use super::statistics::Statistics;
use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::prompt_pass::Piece;
use crate::sequence::Sequence;

/// Tokens of a prompt that are computed between two decode steps. With few rows most of the time goes into unpacking
/// weights; with many, those who read an answer wait.
const CHUNK_BESIDE_DECODING: usize = 64;

/// What the thread owns.
pub(super) struct Scheduler<'a> {
    pipeline: Pipeline,
    options: ServiceOptions,
    inbox: &'a Inbox,
    /// In the order that they came.
    running: Vec<Running>,
    /// Which of the prompts that are being computed has the next turn.
    turn: usize,
    kept: Kept,
    statistics: Statistics,
}

impl<'a> Scheduler<'a> {
    pub(super) fn new(pipeline: Pipeline, options: ServiceOptions, inbox: &'a Inbox) -> Self {
        let (running, kept) = (Vec::new(), Kept::default());
        Self { pipeline, options, inbox, running, turn: 0, kept, statistics: Statistics::default() }
    }

    /// Works until the service is stopped and all jobs have ended.
    pub(super) fn run(&mut self) {
        while !self.running.is_empty() || self.inbox.wait() {
            self.admit();
            self.running.iter_mut().for_each(Running::look_for_cancel);
            self.settle();
            self.give_sequences();
            self.prefill();
            self.decode();
            self.settle();
        }
    }

    /// Tells all running jobs that there will be no answer.
    pub(super) fn abandon(&mut self) {
        for mut job in self.running.drain(..) {
            job.fail(Error::ServiceEnded);
            job.finish();
        }
    }

    /// Gives places to the jobs that came first.
    fn admit(&mut self) {
        loop {
            let (cancelled, first) = self.inbox.take(|ticket| self.has_room(ticket));
            for ticket in cancelled {
                let mut job = Running::new(ticket);
                job.look_for_cancel();
                self.statistics.cancelled += 1;
                self.publish();
                job.finish();
            }
            let Some(ticket) = first else { break };
            self.running.push(Running::new(ticket));
        }
        self.publish();
    }

    fn has_room(&self, ticket: &Ticket) -> bool {
        let expected: usize = self.running.iter().map(|job| job.expected_tokens).sum();
        let tokens = expected.saturating_add(expected_tokens(ticket.layout.tokens.len(), ticket.limit));
        let bytes = tokens.saturating_mul(self.pipeline.engine.bytes_per_token());
        let fits = self.running.len() < self.options.max_batch && bytes <= self.options.cache_bytes;
        self.running.is_empty() || fits
    }

    /// Gives each job that has none a sequence with the longest beginning of its prompt, unless that is being computed.
    fn give_sequences(&mut self) {
        for index in 0..self.running.len() {
            if self.running[index].sequence.is_some() {
                continue;
            }
            let layout = self.running[index].pass.layout();
            let tokens = layout.tokens.len();
            let beginning = Beginning::find(layout, &self.kept, &self.running);
            if beginning == Beginning::Later {
                continue;
            }
            match self.open(beginning, self.running[index].expected_tokens) {
                Ok(sequence) => {
                    self.statistics.prompt_tokens += tokens as u64;
                    self.statistics.cached_tokens += sequence.len() as u64;
                    self.running[index].start(sequence);
                }
                Err(error) => self.running[index].fail(error),
            }
            self.make_room();
        }
    }

    /// A sequence with that beginning, or an empty one if there is no memory for a copy. What is kept gives way to it.
    fn open(&mut self, beginning: Beginning, expected_tokens: usize) -> Result<Sequence, Error> {
        let engine = self.pipeline.engine.as_mut();
        let reused = match beginning {
            Beginning::Kept { index, len } => self.kept.reuse(engine, index, len).ok(),
            Beginning::Running { index, len } => {
                self.running[index].sequence.as_ref().and_then(|sequence| sequence.fork(engine, len).ok())
            }
            Beginning::Nowhere | Beginning::Later => None,
        };
        if let Some(sequence) = reused {
            return Ok(sequence);
        }
        loop {
            match Sequence::open(engine, expected_tokens) {
                Err(_) if self.kept.evict(engine) => {}
                opened => return Ok(opened?),
            }
        }
    }

    /// Closes kept sequences until all that are open take no more memory than they may.
    fn make_room(&mut self) {
        let engine = self.pipeline.engine.as_mut();
        loop {
            let running = self.running.iter().filter_map(|job| job.sequence.as_ref());
            let bytes = running.map(|sequence| sequence.bytes(engine)).sum::<usize>() + self.kept.bytes(engine);
            self.statistics.cache_bytes = bytes;
            if bytes <= self.options.cache_bytes || !self.kept.evict(engine) {
                break;
            }
        }
        self.statistics.kept_sequences = self.kept.len();
    }

    /// Does one piece of one prompt; prompts take turns.
    fn prefill(&mut self) {
        let is_decoding = self.running.iter().any(Running::is_decoding);
        let prompts = self.running.iter().filter(|job| job.is_prefilling()).count();
        if prompts == 0 {
            return;
        }
        let turn = self.turn % prompts;
        self.turn = turn + 1;
        let Some(job) = self.running.iter_mut().filter(|job| job.is_prefilling()).nth(turn) else { return };
        let Some(sequence) = &mut job.sequence else { return };
        let Pipeline { engine, vision, processor, prefill_chunk, .. } = &mut self.pipeline;
        let chunk = if is_decoding { CHUNK_BESIDE_DECODING.min(*prefill_chunk) } else { *prefill_chunk };
        let before = job.pass.timings;
        let piece = job.pass.advance(engine.as_mut(), vision, sequence, chunk);
        self.statistics.vision += job.pass.timings.vision - before.vision;
        self.statistics.prefill += job.pass.timings.prefill - before.prefill;
        match piece {
            Ok(Piece::Encoded) => self.statistics.pictures_encoded += 1,
            Ok(Piece::Recalled) => self.statistics.pictures_cached += 1,
            Ok(Piece::Encoding | Piece::Prefilled) => {}
            Ok(Piece::Completed(logits)) => job.take(processor.tokenizer(), logits.last()),
            Err(error) => job.fail(error),
        }
    }

    /// Does one decode step for all answers that are being generated.
    fn decode(&mut self) {
        let rows = self.running.iter().filter(|job| job.is_decoding()).count();
        if rows == 0 {
            return;
        }
        let start = Instant::now();
        if rows == 1 || !self.decode_together() {
            // Of a step that failed as a whole, those that fail alone are the reason.
            let Pipeline { engine, processor, .. } = &mut self.pipeline;
            for job in self.running.iter_mut().filter(|job| job.is_decoding()) {
                job.step(engine.as_mut(), processor.tokenizer());
            }
        }
        self.statistics.decode += start.elapsed();
        self.statistics.decode_steps += 1;
        self.statistics.decode_rows += rows as u64;
        self.statistics.largest_batch = self.statistics.largest_batch.max(rows);
    }

    /// Runs all rows at once; false if the engine could not.
    fn decode_together(&mut self) -> bool {
        let Pipeline { engine, processor, .. } = &mut self.pipeline;
        let mut decoding: Vec<&mut Running> = self.running.iter_mut().filter(|job| job.is_decoding()).collect();
        let mut rows: Vec<_> = decoding.iter_mut().filter_map(|job| job.row()).collect();
        let Ok(logits) = Sequence::decode_batch(engine.as_mut(), &mut rows) else { return false };
        for (job, row) in decoding.into_iter().zip(logits.data.chunks_exact(logits.vocab)) {
            job.take(processor.tokenizer(), row);
        }
        true
    }

    /// Takes the places of jobs that are over, and keeps their sequences.
    fn settle(&mut self) {
        while let Some(index) = self.running.iter().position(Running::is_over) {
            let mut job = self.running.remove(index);
            if let Some(sequence) = job.sequence.take() {
                self.kept.insert(self.pipeline.engine.as_mut(), sequence);
            }
            self.make_room();
            self.count(&job);
            self.publish();
            job.finish();
        }
        self.make_room();
        self.publish();
    }

    fn count(&mut self, job: &Running) {
        let statistics = &mut self.statistics;
        match job.outcome() {
            Outcome::Finished => statistics.finished += 1,
            Outcome::Cancelled => statistics.cancelled += 1,
            Outcome::Failed => statistics.failed += 1,
        }
        let (generated, speculation) = job.generated();
        statistics.generated_tokens += generated as u64;
        statistics.drafted_tokens += speculation.drafted as u64;
        statistics.accepted_tokens += speculation.accepted as u64;
    }

    /// Lets the handles see what was done.
    fn publish(&mut self) {
        self.statistics.running = self.running.len();
        self.inbox.publish(&self.statistics);
    }
}
