//! The tables for people.

use indicatif::HumanBytes;
use qvl::bench::{Bound, EngineFigures, Figures, LimitFigures, Machine, Measure, MeasureFigures, Range, Ratio};

use super::report::Report;
use crate::commands::lines::lines;

/// The machine and its limits, each engine, and the first one beside the others.
pub fn table(report: &Report) -> String {
    let figures = &report.figures;
    let mut blocks = vec![heading(report)];
    blocks.extend(figures.limits.as_ref().map(limits));
    blocks.extend(figures.engines.iter().filter(|engine| engine.load_seconds.is_some()).map(engine));
    blocks.extend(figures.engines.iter().skip(1).filter_map(|other| ratios(figures, &other.engine)));
    blocks.push(notes(figures));
    blocks.join("\n")
}

fn heading(report: &Report) -> String {
    let Machine { cpu, vector_unit, threads } = &report.figures.machine;
    let cpu = cpu.as_deref().unwrap_or("unknown processor");
    let plural = if *threads == 1 { "" } else { "s" };
    let precisions = report.precisions.iter().map(|(graph, precision)| format!("{graph} {precision}"));
    let precisions: Vec<String> = precisions.collect();
    format!("{}: {}\n{cpu}, {threads} thread{plural}, {vector_unit}\n", report.model, precisions.join(", "))
}

fn limits(limits: &LimitFigures) -> String {
    let row = |name: &str, range: Range, unit: f64, name_of_unit: &str| {
        let cells = cells(range, |value| format!("{} {name_of_unit}", digits(value / unit)));
        [name.to_owned()].into_iter().chain(cells).collect()
    };
    let rows = vec![
        row("reading memory", limits.read_bandwidth, 1e9, "GB/s"),
        row("int8", limits.int8_peak, 1e12, "TOP/s"),
        row("float32", limits.float32_peak, 1e12, "TFLOP/s"),
    ];
    lines(&["limits", "median", "min", "max"], rows)
}

fn engine(engine: &EngineFigures) -> String {
    let header = [engine.engine.as_str(), "median", "min", "max", "a second", "of the limit", "memory"];
    let load = [("load", engine.load_seconds), ("  its graphs", engine.engine_load_seconds)];
    let load = load
        .into_iter()
        .filter_map(|(name, range)| Some([name.to_owned()].into_iter().chain(cells(range?, time)).collect::<Vec<_>>()));
    lines(&header, load.chain(engine.measures.iter().map(measure)).collect())
}

fn measure(figures: &MeasureFigures) -> Vec<String> {
    let unit = if matches!(figures.measure, Measure::Vision { .. }) { "patches" } else { "tokens" };
    let fraction = figures.fraction.zip(figures.limit);
    let fraction = fraction.map(|(range, limit)| format!("{:.1} % of {}", 100.0 * range.median, limit_name(limit)));
    let memory = figures.peak_resident_bytes.map(|bytes| HumanBytes(bytes).to_string());
    let rest =
        [format!("{} {unit}", digits(figures.per_second)), fraction.unwrap_or_default(), memory.unwrap_or_default()];
    [figures.measure.to_string()].into_iter().chain(cells(figures.seconds, time)).chain(rest).collect()
}

fn limit_name(limit: Bound) -> &'static str {
    match limit {
        Bound::ReadBandwidth => "reading",
        Bound::Int8Peak => "int8",
        Bound::Float32Peak => "float32",
    }
}

/// The first engine beside `other`; none if they have nothing in common.
fn ratios(figures: &Figures, other: &str) -> Option<String> {
    let of_other: Vec<&Ratio> = figures.ratios.iter().filter(|ratio| ratio.beside == other).collect();
    let first = &of_other.first()?.engine;
    let header = format!("{first} beside {other}");
    let row = |ratio: &&Ratio| {
        let cells = cells(ratio.times_as_fast, |value| format!("{value:.2}"));
        [ratio.measure.clone()].into_iter().chain(cells).collect()
    };
    Some(lines(&[&header, "times as fast", "min", "max"], of_other.iter().map(row).collect()))
}

fn notes(figures: &Figures) -> String {
    let plural = if figures.runs == 1 { "" } else { "s" };
    let mut notes =
        format!("({} run{plural}; each engine was opened once before, so that files are cached)\n", figures.runs);
    for left_out in &figures.left_out {
        let (measure, limit) = (left_out.measure, left_out.limit);
        notes.push_str(&format!("(left out: {measure}; the model's context holds {limit} tokens)\n"));
    }
    if !figures.complete {
        notes.push_str("(stopped: not everything was measured)\n");
    }
    notes
}

fn cells(range: Range, show: impl Fn(f64) -> String) -> [String; 3] {
    [range.median, range.min, range.max].map(show)
}

fn time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", digits(seconds * 1e3)) } else { format!("{} s", digits(seconds)) }
}

/// Three digits, and three decimals at most.
fn digits(value: f64) -> String {
    let decimals = match value {
        100.0.. => 0,
        10.0..100.0 => 1,
        1.0..10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use qvl::bench::LeftOut;

    use super::*;

    fn range(median: f64) -> Range {
        Range { median, min: median / 2.0, max: median * 2.0 }
    }

    fn engine_figures(name: &str) -> EngineFigures {
        let measure = MeasureFigures {
            measure: Measure::Decode { context: 0 },
            count: 1,
            seconds: range(0.02),
            per_second: 50.0,
            work: 1e8,
            limit: Some(Bound::ReadBandwidth),
            fraction: Some(range(0.456)),
            peak_resident_bytes: Some(3 << 30),
        };
        EngineFigures {
            engine: name.to_owned(),
            load_seconds: Some(range(2.0)),
            engine_load_seconds: Some(range(0.5)),
            peak_resident_bytes: Some(3 << 30),
            measures: vec![measure],
        }
    }

    fn report() -> Report {
        let ratio = |measure: &str, value| Ratio {
            measure: measure.to_owned(),
            engine: "cpu".to_owned(),
            beside: "ort".to_owned(),
            times_as_fast: range(value),
        };
        let limits = LimitFigures { read_bandwidth: range(30e9), int8_peak: range(1.75e12), float32_peak: range(4e11) };
        let figures = Figures {
            machine: Machine { cpu: Some("A CPU".to_owned()), vector_unit: "AVX2", threads: 2 },
            limits: Some(limits),
            engines: vec![engine_figures("cpu"), engine_figures("ort")],
            ratios: vec![ratio("load", 10.0), ratio("decode at 0", 1.5)],
            left_out: vec![LeftOut { measure: Measure::Decode { context: 8192 }, limit: 4096 }],
            runs: 3,
            complete: true,
        };
        let precisions = BTreeMap::from([("text".to_owned(), "int4".to_owned())]);
        Report { model: "p".to_owned(), precisions, figures }
    }

    #[test]
    fn tables_are_aligned_and_say_what_they_compare() {
        assert_eq!(
            table(&report()),
            "p: text int4\n\
             A CPU, 2 threads, AVX2\n\
             \n\
             limits                 median            min            max\n\
             reading memory      30.0 GB/s      15.0 GB/s      60.0 GB/s\n\
             int8               1.75 TOP/s    0.875 TOP/s     3.50 TOP/s\n\
             float32         0.400 TFLOP/s  0.200 TFLOP/s  0.800 TFLOP/s\n\
             \n\
             cpu            median      min      max     a second       of the limit    memory\n\
             load           2.00 s   1.00 s   4.00 s\n\
             \x20 its graphs   500 ms   250 ms   1.00 s\n\
             decode at 0   20.0 ms  10.0 ms  40.0 ms  50.0 tokens  45.6 % of reading  3.00 GiB\n\
             \n\
             ort            median      min      max     a second       of the limit    memory\n\
             load           2.00 s   1.00 s   4.00 s\n\
             \x20 its graphs   500 ms   250 ms   1.00 s\n\
             decode at 0   20.0 ms  10.0 ms  40.0 ms  50.0 tokens  45.6 % of reading  3.00 GiB\n\
             \n\
             cpu beside ort  times as fast   min    max\n\
             load                    10.00  5.00  20.00\n\
             decode at 0              1.50  0.75   3.00\n\
             \n\
             (3 runs; each engine was opened once before, so that files are cached)\n\
             (left out: decode at 8192; the model's context holds 4096 tokens)\n"
        );
    }

    #[test]
    fn a_bench_that_was_stopped_at_once_says_so() {
        let mut report = report();
        report.figures = Figures { limits: None, ratios: Vec::new(), complete: false, ..report.figures };
        for engine in &mut report.figures.engines {
            *engine = EngineFigures { load_seconds: None, measures: Vec::new(), ..engine.clone() };
        }
        let text = table(&report);
        assert!(text.ends_with("(stopped: not everything was measured)\n"), "{text}");
        assert!(!text.contains("limits") && !text.contains("cpu ") && !text.contains("ort "), "{text}");
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.000_4, 0.123_4, 1.234, 12.34, 123.4, 12345.6].map(digits);
        assert_eq!(figures, ["0.000", "0.123", "1.23", "12.3", "123", "12346"]);
        assert_eq!([0.000_123, 0.5, 1.5].map(time), ["0.123 ms", "500 ms", "1.50 s"]);
    }
}
