//! A package, measured run after run, each time with all engines.

use std::sync::Arc;

use qvl_engine::{Device, EngineOptions, KvPrecision};
use qvl_kernels::ThreadPool;
use qvl_package::PackageDir;

use super::engine_run::{Samples, open, run};
use super::error::BenchError;
use super::figures::{Figures, Round};
use super::limits::{Bound, Limits, Machine};
use super::plan::{LeftOut, Part, Plan};
use super::tasks::{Task, tasks};
use crate::cancel::CancelFlag;
use crate::error::Error;

/// Hears what is done next.
pub type OnStep<'a> = &'a mut dyn FnMut(&str);

/// What is measured.
#[derive(Debug, Clone, Default)]
pub struct BenchOptions {
    /// How often; at least once.
    pub runs: usize,
    /// Only the smallest picture, prompt and context.
    pub quick: bool,
    /// Only these parts; all if empty.
    pub parts: Vec<Part>,
}

/// An engine that is measured.
#[derive(Debug)]
pub(super) struct BenchEngine {
    /// What reports call it.
    pub(super) name: String,
    pub(super) options: EngineOptions,
}

impl BenchEngine {
    fn new(options: EngineOptions) -> Self {
        let mut name = if options.uses_ort() { "ort" } else { "cpu" }.to_owned();
        if options.device != Device::Cpu {
            name = format!("{name} {}", options.device);
        }
        if options.precise {
            name.push_str(" precise");
        }
        if options.kv_cache != KvPrecision::Auto {
            name = format!("{name} {} cache", options.kv_cache);
        }
        Self { name, options }
    }

    /// What limits `task`: none off the processor, whose limits are not known, and no integers where all is computed in
    /// single precision.
    pub(super) fn bound(&self, task: &Task) -> Option<Bound> {
        match task.bound {
            _ if self.options.device != Device::Cpu => None,
            Bound::Int8Peak if self.options.precise => Some(Bound::Float32Peak),
            bound => Some(bound),
        }
    }
}

/// A package to be measured with one engine or several, in turn.
#[derive(Debug)]
pub struct Bench {
    package: PackageDir,
    engines: Vec<BenchEngine>,
    tasks: Vec<Task>,
    left_out: Vec<LeftOut>,
    runs: usize,
    pool: Arc<ThreadPool>,
}

impl Bench {
    /// Prepares all inputs. Each of `engines` is opened in turn; the first one's number of threads is also that of the
    /// limits.
    ///
    /// # Errors
    /// If the package's graphs or its processor are not usable, or threads cannot be started.
    pub fn new(package: &PackageDir, engines: Vec<EngineOptions>, options: &BenchOptions) -> Result<Self, BenchError> {
        let plan = Plan::new(&package.config().text, &options.parts, options.quick);
        let threads = engines.first().cloned().unwrap_or_default().thread_count();
        let pool = ThreadPool::shared(threads);
        Ok(Self {
            tasks: tasks(package, &plan.measures)?,
            package: package.clone(),
            engines: engines.into_iter().map(BenchEngine::new).collect(),
            left_out: plan.left_out,
            runs: options.runs.max(1),
            pool: pool.map_err(|reason| BenchError::Threads { threads, reason })?,
        })
    }

    /// How often [`Bench::run`] calls its `on_step`.
    pub fn steps(&self) -> usize {
        let engines = self.engines.len();
        engines + self.runs * (1 + engines * (1 + self.tasks.len()))
    }

    /// Measures all runs, or as many as `cancel` leaves time for. In each run every engine has its turn.
    ///
    /// Each engine is opened once before, so that the pages that opening needs are in the system's cache.
    ///
    /// # Errors
    /// If an engine fails.
    pub fn run(&self, cancel: &CancelFlag, on_step: OnStep<'_>) -> Result<Figures, BenchError> {
        let mut rounds: Vec<Round> = Vec::new();
        for engine in &self.engines {
            on_step(&format!("{}: opened once before", engine.name));
            if !cancel.is_cancelled() {
                open(&self.package, &engine.options).map_err(|source| failed(engine, "load", source))?;
            }
        }
        for number in 1..=self.runs {
            if cancel.is_cancelled() {
                break;
            }
            let title = if self.runs == 1 { String::new() } else { format!("run {number} of {}: ", self.runs) };
            rounds.push(self.round(&title, cancel, on_step)?);
        }
        let machine = Machine::this(self.pool.num_threads());
        Ok(Figures::new(machine, &self.engines, &self.tasks, &rounds, self.runs, self.left_out.clone()))
    }

    fn round(&self, title: &str, cancel: &CancelFlag, on_step: OnStep<'_>) -> Result<Round, BenchError> {
        on_step(&format!("{title}limits of the machine"));
        let mut round = Round { limits: Limits::measure(&self.pool), engines: Vec::new() };
        for engine in &self.engines {
            if cancel.is_cancelled() {
                break;
            }
            let mut on_step = |what: &str| on_step(&format!("{title}{}, {what}", engine.name));
            let samples = run(&self.package, &engine.options, &self.tasks, cancel, &mut on_step);
            let samples = samples.map_err(|(task, source)| failed(engine, &task, source))?;
            round.engines.push(self.with_certain_peaks(samples));
        }
        Ok(round)
    }

    /// Drops peaks that may be another engine's.
    fn with_certain_peaks(&self, mut samples: Samples) -> Samples {
        if !samples.has_own_peak && self.engines.len() > 1 {
            samples.peaks.fill(None);
        }
        samples
    }
}

fn failed(engine: &BenchEngine, task: &str, source: Error) -> BenchError {
    BenchError::Engine { task: format!("{task} with the engine {}", engine.name), source }
}

#[cfg(test)]
mod tests {
    use qvl_engine::EngineChoice;

    use super::*;
    use crate::bench::plan::Measure;
    use crate::bench::tasks::Input;

    fn engine(change: impl FnOnce(&mut EngineOptions)) -> BenchEngine {
        let mut options = EngineOptions { engine: EngineChoice::Cpu, ..EngineOptions::default() };
        change(&mut options);
        BenchEngine::new(options)
    }

    #[test]
    fn what_is_computed_with_decides_the_name_and_the_limit() {
        let task = |bound| Task {
            measure: Measure::Prefill { tokens: 1 },
            input: Input::Prompt(1),
            count: 1,
            work: 1.0,
            bound,
        };
        let bounds = |engine: &BenchEngine| {
            [Bound::ReadBandwidth, Bound::Int8Peak, Bound::Float32Peak].map(|bound| engine.bound(&task(bound)))
        };
        let own = engine(|_| ());
        assert_eq!(own.name, "cpu");
        assert_eq!(bounds(&own), [Some(Bound::ReadBandwidth), Some(Bound::Int8Peak), Some(Bound::Float32Peak)]);
        let precise = engine(|options| options.precise = true);
        assert_eq!(precise.name, "cpu precise");
        assert_eq!(bounds(&precise), [Some(Bound::ReadBandwidth), Some(Bound::Float32Peak), Some(Bound::Float32Peak)]);
        assert_eq!(engine(|options| options.kv_cache = KvPrecision::Int8).name, "cpu int8 cache");
        let cuda = engine(|options| (options.engine, options.device) = (EngineChoice::Ort, Device::Cuda));
        assert_eq!((cuda.name.as_str(), bounds(&cuda)), ("ort cuda", [None; 3]));
    }
}
