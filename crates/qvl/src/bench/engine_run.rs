//! One run of one engine: it is opened, warmed up, measured and closed.

use std::time::{Duration, Instant};

use qvl_checkpoint::Grid;
use qvl_engine::{Engine, EngineOptions, Prefill, SequenceId};
use qvl_package::PackageDir;
use qvl_processor::Patches;

use super::inputs::token;
use super::memory::{peak_resident_bytes, reset_peak};
use super::plan::{MOST_STEPS, Part};
use super::tasks::{Input, Task};
use crate::cancel::CancelFlag;
use crate::error::Error;
use crate::pipeline::Pipeline;

/// Tokens of the prompt that warms an engine up, which touches all weights.
const WARM_UP_TOKENS: usize = 16;

/// Tokens that are decoded at a context before time counts.
const WARM_UP_STEPS: usize = 2;

/// Least tokens that are decoded, and least time that is spent, however fast the engine is.
const LEAST_STEPS: usize = 16;
const LEAST_TIME: Duration = Duration::from_millis(500);

/// What a run gave; fewer samples than tasks after a cancel.
#[derive(Debug)]
pub(super) struct Samples {
    /// Seconds to open the package, its tokenizer and its graphs.
    pub(super) load: f64,
    /// The part of it that went into graphs.
    pub(super) engine_load: f64,
    /// Seconds of each task.
    pub(super) seconds: Vec<f64>,
    /// The peak of resident memory after each task.
    pub(super) peaks: Vec<Option<u64>>,
    /// Whether the peaks are of this run alone.
    pub(super) has_own_peak: bool,
}

/// Opens an engine and runs it on `tasks`.
///
/// # Errors
/// What the engine said, with the name of what it was doing.
pub(super) fn run(
    package: &PackageDir,
    options: &EngineOptions,
    tasks: &[Task],
    cancel: &CancelFlag,
    on_step: &mut dyn FnMut(&str),
) -> Result<Samples, (String, Error)> {
    let at = |what: &str| {
        let what = what.to_owned();
        move |error| (what, error)
    };
    on_step("load");
    let has_own_peak = reset_peak();
    let start = Instant::now();
    let mut pipeline = open(package, options).map_err(at("load"))?;
    let opened = (start.elapsed(), pipeline.engine.load_time());
    let mut run = EngineRun::new(&mut *pipeline.engine, options.prefill_chunk, cancel);
    run.warm_up(tasks).map_err(at("the warm-up"))?;

    let mut samples = Samples { load: 0.0, engine_load: 0.0, seconds: Vec::new(), peaks: Vec::new(), has_own_peak };
    for task in tasks {
        let name = task.measure.to_string();
        on_step(&name);
        let Some(time) = run.measure(task).map_err(at(&name))? else { break };
        samples.seconds.push(time.as_secs_f64());
        samples.peaks.push(peak_resident_bytes());
    }
    let graphs = run.engine.load_time();
    // What was opened late is part of opening all the same.
    samples.load = (opened.0 + graphs.saturating_sub(opened.1)).as_secs_f64();
    samples.engine_load = graphs.as_secs_f64();
    Ok(samples)
}

/// Opens all that an answer needs, the package's own check included.
pub(super) fn open(package: &PackageDir, options: &EngineOptions) -> Result<Pipeline, Error> {
    Pipeline::load(&PackageDir::open(package.path())?, options)
}

struct EngineRun<'a> {
    engine: &'a mut dyn Engine,
    /// Tokens between looks at the flag.
    chunk: usize,
    cancel: &'a CancelFlag,
    /// What the last task left, for the next one to go on from.
    sequence: Option<SequenceId>,
}

impl<'a> EngineRun<'a> {
    fn new(engine: &'a mut dyn Engine, prefill_chunk: usize, cancel: &'a CancelFlag) -> Self {
        Self { engine, chunk: prefill_chunk.max(1), cancel, sequence: None }
    }

    /// Uses all weights once, so that pages are mapped and late graphs are open.
    fn warm_up(&mut self, tasks: &[Task]) -> Result<(), Error> {
        if tasks.iter().any(|task| task.measure.part() == Part::Vision) {
            let vision = &self.engine.config().vision;
            let merge = vision.spatial_merge_size;
            let pixels = vec![0.0; vision.patch_len() * vision.merge_unit()];
            self.engine.encode(&pixels, &[Grid { t: 1, h: merge, w: merge }])?;
        }
        if tasks.iter().any(|task| task.measure.part() != Part::Vision) {
            let sequence = self.open(WARM_UP_TOKENS)?;
            let tokens = WARM_UP_TOKENS.min(self.engine.config().text.max_position_embeddings);
            self.fill(sequence, tokens)?;
        }
        Ok(())
    }

    /// The time of one task; none if it was cancelled.
    fn measure(&mut self, task: &Task) -> Result<Option<Duration>, Error> {
        if self.cancel.is_cancelled() {
            return Ok(None);
        }
        match task.input {
            Input::Picture(ref patches) => self.vision(patches).map(Some),
            Input::Prompt(tokens) => self.prefill(tokens),
            Input::Context(tokens) => self.decode(tokens),
        }
    }

    fn vision(&mut self, patches: &Patches) -> Result<Duration, Error> {
        let start = Instant::now();
        self.engine.encode(&patches.pixel_values, &[patches.grid])?;
        Ok(start.elapsed())
    }

    fn prefill(&mut self, tokens: usize) -> Result<Option<Duration>, Error> {
        let sequence = self.open(tokens)?;
        let start = Instant::now();
        let is_done = self.fill(sequence, tokens)?;
        Ok(is_done.then(|| start.elapsed()))
    }

    /// The mean time of a token after `context` others.
    fn decode(&mut self, context: usize) -> Result<Option<Duration>, Error> {
        let sequence = self.sequence.map_or_else(|| self.open(context), Ok)?;
        let held = self.engine.len(sequence).unwrap_or(0);
        self.engine.truncate(sequence, held.min(context))?;
        if !self.fill(sequence, context)? {
            return Ok(None);
        }
        for index in context..context + WARM_UP_STEPS {
            self.step(sequence, index)?;
        }
        self.engine.truncate(sequence, context)?;

        let start = Instant::now();
        let mut steps = 0;
        while steps < LEAST_STEPS || (steps < MOST_STEPS && start.elapsed() < LEAST_TIME) {
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            self.step(sequence, context + steps)?;
            steps += 1;
        }
        Ok(Some(start.elapsed() / steps as u32))
    }

    fn step(&mut self, sequence: SequenceId, index: usize) -> Result<(), Error> {
        let token = token(self.engine.config(), index);
        self.engine.decode(sequence, token, index as i64)?;
        Ok(())
    }

    /// An empty sequence in place of the last one, with room for `tokens` and what is decoded after them.
    fn open(&mut self, tokens: usize) -> Result<SequenceId, Error> {
        if let Some(last) = self.sequence.take() {
            self.engine.close_sequence(last);
        }
        let capacity = (tokens + MOST_STEPS).min(self.engine.config().text.max_position_embeddings);
        Ok(*self.sequence.insert(self.engine.open_sequence(capacity)?))
    }

    /// Appends tokens until the sequence holds `len`; false if it was cancelled.
    fn fill(&mut self, sequence: SequenceId, len: usize) -> Result<bool, Error> {
        let held = self.engine.len(sequence).unwrap_or(0);
        for start in (held..len).step_by(self.chunk) {
            if self.cancel.is_cancelled() {
                return Ok(false);
            }
            let places = start..len.min(start + self.chunk);
            let token_ids: Vec<u32> = places.clone().map(|index| token(self.engine.config(), index)).collect();
            let positions: Vec<[i64; 3]> = places.map(|index| [index as i64; 3]).collect();
            self.engine.prefill(sequence, &Prefill { token_ids: &token_ids, positions: &positions, features: None })?;
        }
        Ok(true)
    }
}
