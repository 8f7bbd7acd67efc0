//! What all runs gave.

use serde::Serialize;

use super::engine_run::Samples;
use super::limits::{Bound, Limits, Machine};
use super::plan::{LeftOut, Measure};
use super::range::Range;
use super::rounds::BenchEngine;
use super::tasks::Task;

/// One run: the machine, then each engine. A cancel cuts the list short, and the samples of its last.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) limits: Limits,
    pub(super) engines: Vec<Samples>,
}

/// Everything that was measured; serialised, it is what `qvl bench --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Where.
    pub machine: Machine,
    /// What the machine can do; none after an early cancel.
    pub limits: Option<LimitFigures>,
    /// What each engine does.
    pub engines: Vec<EngineFigures>,
    /// The first engine beside each other one.
    pub ratios: Vec<Ratio>,
    /// Measures that the model is too small for.
    pub left_out: Vec<LeftOut>,
    /// Runs that were asked for.
    pub runs: usize,
    /// Whether all of them were made.
    pub complete: bool,
}

/// The [`Limits`] of all runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LimitFigures {
    /// Bytes a second.
    pub read_bandwidth: Range,
    /// Operations a second.
    pub int8_peak: Range,
    /// Operations a second.
    pub float32_peak: Range,
}

/// What one engine does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineFigures {
    /// Its name.
    pub engine: String,
    /// Opening the package, its tokenizer and all graphs; none after an early cancel.
    pub load_seconds: Option<Range>,
    /// The part of it that went into graphs.
    pub engine_load_seconds: Option<Range>,
    /// The most memory that was resident in any run, mapped weights included; none where it is not known.
    pub peak_resident_bytes: Option<u64>,
    /// The measures that it came to, in their order.
    pub measures: Vec<MeasureFigures>,
}

/// One measure of one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasureFigures {
    /// Which.
    #[serde(flatten)]
    pub measure: Measure,
    /// Patches of the picture, or tokens.
    pub count: usize,
    /// How long they take; of decoding the mean time of a token.
    pub seconds: Range,
    /// Patches or tokens a second, by the median.
    pub per_second: f64,
    /// The operations that they need, or the bytes where the read bandwidth is the limit.
    pub work: f64,
    /// Which limit there is; none off the processor.
    pub limit: Option<Bound>,
    /// The share of the limit that is reached, each run's time by its own limits.
    pub fraction: Option<Range>,
    /// The most memory that was resident until the end of this measure, in any run.
    pub peak_resident_bytes: Option<u64>,
}

/// How much faster one engine is than another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ratio {
    /// `load`, or the measure.
    pub measure: String,
    /// The first engine.
    pub engine: String,
    /// The other one.
    pub beside: String,
    /// The other one's time over the first one's, run by run.
    pub times_as_fast: Range,
}

impl Figures {
    /// Of `engines` on `tasks`.
    pub(super) fn new(
        machine: Machine,
        engines: &[BenchEngine],
        tasks: &[Task],
        rounds: &[Round],
        runs: usize,
        left_out: Vec<LeftOut>,
    ) -> Self {
        let is_whole = |round: &Round| {
            round.engines.len() == engines.len()
                && round.engines.iter().all(|engine| engine.seconds.len() == tasks.len())
        };
        Self {
            machine,
            limits: LimitFigures::of(rounds),
            engines: (0..engines.len()).map(|index| EngineFigures::of(&engines[index], index, tasks, rounds)).collect(),
            ratios: (1..engines.len()).flat_map(|other| ratios(engines, other, tasks, rounds)).collect(),
            left_out,
            runs,
            complete: rounds.len() == runs && rounds.iter().all(is_whole),
        }
    }
}

impl LimitFigures {
    fn of(rounds: &[Round]) -> Option<Self> {
        let range = |bound| Range::of(rounds.iter().map(|round| round.limits.of(bound)));
        Some(Self {
            read_bandwidth: range(Bound::ReadBandwidth)?,
            int8_peak: range(Bound::Int8Peak)?,
            float32_peak: range(Bound::Float32Peak)?,
        })
    }
}

impl EngineFigures {
    /// Of the engine at `place` in every round.
    fn of(engine: &BenchEngine, place: usize, tasks: &[Task], rounds: &[Round]) -> Self {
        let samples: Vec<(&Limits, &Samples)> =
            rounds.iter().filter_map(|round| Some((&round.limits, round.engines.get(place)?))).collect();
        let range = |value: fn(&Samples) -> f64| Range::of(samples.iter().map(|(_, samples)| value(samples)));
        let peaks = samples.iter().flat_map(|(_, samples)| samples.peaks.iter().copied());
        let measures = tasks.iter().enumerate();
        let measures =
            measures.filter_map(|(index, task)| MeasureFigures::of(task, index, engine.bound(task), &samples));
        Self {
            engine: engine.name.clone(),
            load_seconds: range(|samples| samples.load),
            engine_load_seconds: range(|samples| samples.engine_load),
            peak_resident_bytes: peaks.flatten().max(),
            measures: measures.collect(),
        }
    }
}

impl MeasureFigures {
    /// Of the task at `index`, which `limit` limits; none if no run came to it.
    fn of(task: &Task, index: usize, limit: Option<Bound>, samples: &[(&Limits, &Samples)]) -> Option<Self> {
        let timed: Vec<(&Limits, f64)> =
            samples.iter().filter_map(|(limits, samples)| Some((*limits, *samples.seconds.get(index)?))).collect();
        let seconds = Range::of(timed.iter().map(|&(_, seconds)| seconds))?;
        let fraction = |bound| Range::of(timed.iter().map(|(limits, seconds)| task.work / limits.of(bound) / seconds));
        let peaks = samples.iter().filter_map(|(_, samples)| *samples.peaks.get(index)?);
        Some(Self {
            measure: task.measure,
            count: task.count,
            seconds,
            per_second: task.count as f64 / seconds.median,
            work: task.work,
            limit,
            fraction: limit.and_then(fraction),
            peak_resident_bytes: peaks.max(),
        })
    }
}

/// The first engine beside the one at `other`.
fn ratios(engines: &[BenchEngine], other: usize, tasks: &[Task], rounds: &[Round]) -> Vec<Ratio> {
    let ratio = |measure: String, seconds: &dyn Fn(&Samples) -> Option<f64>| {
        let both = rounds.iter().filter_map(|round| {
            let (first, other) = (round.engines.first()?, round.engines.get(other)?);
            Some(seconds(other)? / seconds(first)?)
        });
        let (engine, beside) = (engines[0].name.clone(), engines[other].name.clone());
        Some(Ratio { measure, engine, beside, times_as_fast: Range::of(both)? })
    };
    let load = ratio("load".to_owned(), &|samples| Some(samples.load));
    let measures = tasks
        .iter()
        .enumerate()
        .filter_map(|(index, task)| ratio(task.measure.to_string(), &|samples| samples.seconds.get(index).copied()));
    load.into_iter().chain(measures).collect()
}

#[cfg(test)]
mod tests {
    use qvl_engine::EngineOptions;

    use super::*;
    use crate::bench::tasks::Input;

    fn tasks() -> Vec<Task> {
        let (decode, prefill) = (Measure::Decode { context: 0 }, Measure::Prefill { tokens: 512 });
        let (input, bound) = (Input::Context(0), Bound::ReadBandwidth);
        let decode = Task { measure: decode, input, count: 1, work: 100.0, bound };
        let (input, bound) = (Input::Prompt(512), Bound::Int8Peak);
        vec![decode, Task { measure: prefill, input, count: 512, work: 8000.0, bound }]
    }

    fn round(read_bandwidth: f64, engines: &[&[f64]]) -> Round {
        let limits = Limits { read_bandwidth, int8_peak: 4000.0, float32_peak: 1000.0 };
        let samples = |seconds: &&[f64]| Samples {
            load: 2.0,
            engine_load: 1.0,
            seconds: seconds.to_vec(),
            peaks: vec![Some(7), None][..seconds.len()].to_vec(),
            has_own_peak: true,
        };
        Round { limits, engines: engines.iter().map(samples).collect() }
    }

    fn figures(rounds: &[Round], runs: usize) -> Figures {
        let machine = Machine { cpu: None, vector_unit: "scalar", threads: 1 };
        let engine = |name: &str| BenchEngine { name: name.to_owned(), options: EngineOptions::default() };
        Figures::new(machine, &[engine("fast"), engine("slow")], &tasks(), rounds, runs, Vec::new())
    }

    #[test]
    fn fractions_and_ratios_are_formed_within_a_run() {
        // In the second run the machine is half as fast: so are both engines.
        let rounds = [round(100.0, &[&[2.0, 4.0], &[6.0, 4.0]]), round(50.0, &[&[4.0, 8.0], &[12.0, 8.0]])];
        let figures = figures(&rounds, 2);
        assert!(figures.complete);
        let decode = &figures.engines[0].measures[0];
        assert_eq!(decode.seconds, Range { median: 3.0, min: 2.0, max: 4.0 });
        assert_eq!(decode.fraction, Some(Range { median: 0.5, min: 0.5, max: 0.5 }));
        let prefill = &figures.engines[1].measures[1];
        assert_eq!(prefill.fraction, Some(Range { median: 0.375, min: 0.25, max: 0.5 }));
        assert!((prefill.per_second - 512.0 / 6.0).abs() < 1e-9);
        let ratios: Vec<_> = figures.ratios.iter().map(|ratio| (&*ratio.measure, ratio.times_as_fast.median)).collect();
        assert_eq!(ratios, [("load", 1.0), ("decode at 0", 3.0), ("prefill 512", 1.0)]);
        assert_eq!((&*figures.ratios[0].engine, &*figures.ratios[0].beside), ("fast", "slow"));
        assert_eq!(figures.limits.unwrap().read_bandwidth, Range { median: 75.0, min: 50.0, max: 100.0 });
        assert_eq!((figures.engines[0].peak_resident_bytes, decode.peak_resident_bytes), (Some(7), Some(7)));
        assert_eq!(prefill.peak_resident_bytes, None);
    }

    #[test]
    fn what_was_measured_before_a_cancel_stays() {
        let some = figures(&[round(100.0, &[&[2.0, 4.0], &[6.0]])], 3);
        assert!(!some.complete);
        assert_eq!((some.engines[0].measures.len(), some.engines[1].measures.len()), (2, 1));
        assert_eq!(some.ratios.len(), 2);
        let nothing = figures(&[], 3);
        assert!(nothing.limits.is_none() && !nothing.complete);
        assert!(nothing.engines.iter().all(|engine| engine.measures.is_empty() && engine.load_seconds.is_none()));
    }

    #[test]
    fn without_a_limit_there_is_no_fraction() {
        let round = round(100.0, &[&[2.0, 4.0]]);
        let samples = [(&round.limits, &round.engines[0])];
        let figures = MeasureFigures::of(&tasks()[0], 0, None, &samples).unwrap();
        assert_eq!((figures.seconds.median, figures.limit, figures.fraction), (2.0, None, None));
    }
}
