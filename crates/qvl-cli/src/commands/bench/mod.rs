//! `qvl bench`

mod report;
mod table;

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use qvl::CancelFlag;
use qvl::bench::{Bench, BenchOptions, Figures};

use crate::args::{BenchArgs, EngineArgs};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::library;
use crate::package;
use crate::terminal::note;
use report::Report;

/// Measures the package and prints the figures. The exit code says whether Ctrl-C ended that early.
///
/// # Errors
/// If the package or a library is not usable, an engine fails, or stdout cannot be written.
pub fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    if cfg!(debug_assertions) {
        note("this qvl was built without optimisation: what it measures says little; build it with --release");
    }
    interrupt.during(|cancel| {
        let engines = args.engines();
        engines.iter().try_for_each(library::ensure)?;
        let package = package::find(&args.package, &engines[0], cancel)?;
        let options = BenchOptions { runs: args.runs.into(), quick: args.quick, parts: args.only.clone() };
        let bench = Bench::new(&package, engines.iter().map(EngineArgs::options).collect(), &options)?;
        let report = Report::new(args.package.package.as_deref(), &package, measured(&bench, cancel)?);
        report.print(args.json)?;
        Ok(if report.figures.complete { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INTERRUPTED) })
    })
}

/// Measures and shows what is done, where stderr is a terminal.
fn measured(bench: &Bench, cancel: &CancelFlag) -> anyhow::Result<Figures> {
    let bar = ProgressBar::new(bench.steps() as u64).with_style(style());
    let mut is_first = true;
    let figures = bench.run(cancel, &mut |step| {
        // A step is through when the next one begins.
        bar.inc(u64::from(!std::mem::take(&mut is_first)));
        bar.set_message(step.to_owned());
    });
    bar.finish_and_clear();
    Ok(figures?)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:40} {wide_bar} {pos}/{len} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
