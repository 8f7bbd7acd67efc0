//! `qvl compare`

mod axis;
mod plot;
mod report;
mod svg;
mod table;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use qvl::CancelFlag;
use qvl::compare::{CompareOptions, Comparison, MatrixErrors, Models, weight_errors};
use qvl::eval::Question;

use super::questions::{check_place, for_each};
use crate::args::CompareArgs;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::package;
use report::Report;

/// Puts all questions to both models and prints how far they are apart, also where Ctrl-C or a question that cannot be compared
/// ended that early. The exit code says so.
///
/// # Errors
/// If the question file is not usable, the packages are not of one model, one fails, or a result cannot be written.
pub fn compare(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let data = args.questions.file()?;
    let interrupt = Interrupt::install()?;
    // Before the models are loaded, mistakes in the questions and in the places of the results are found.
    let questions = args.questions.read()?;
    check_place(args.json.as_deref())?;
    check_place(args.plot.as_deref())?;
    interrupt.during(|cancel| {
        let (mut models, weights) = load(args, cancel)?;
        let options = CompareOptions {
            prompt: args.pixels.prompt_options(models.reference().processor().images().budget()),
            max_new_tokens: args.max_new_tokens as usize,
        };
        let start = Instant::now();
        let (comparison, outcome) = run(&mut models, &questions, &options, cancel);
        let report = Report::new(args, data, &comparison, questions.len(), start.elapsed());
        if outcome.is_ok() || comparison.questions() > 0 {
            write(args, &report, &weights)?;
        }
        outcome?;
        Ok(if report.complete { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INTERRUPTED) })
    })
}

/// Prints the figures and writes them where they are wanted; the plot also where the figures cannot be written.
fn write(args: &CompareArgs, report: &Report, weights: &[MatrixErrors]) -> anyhow::Result<()> {
    let printed = report.print_or_write(args.json.as_deref());
    if let Some(path) = &args.plot {
        write_plot(path, report, weights)?;
    }
    printed
}

/// Both models, and the errors that the candidate records for its weights.
fn load(args: &CompareArgs, cancel: &CancelFlag) -> anyhow::Result<(Models, Vec<MatrixErrors>)> {
    let reference = package::given(&args.reference, &args.engine, cancel)?;
    let candidate = package::given(&args.candidate, &args.engine, cancel)?;
    Ok((Models::load(&reference, &candidate, &args.engine.options())?, weight_errors(&candidate)))
}

/// Asks one after the other, until all are answered, a stop is asked for, or one cannot be compared: the figures so far, and what
/// went wrong.
fn run(
    models: &mut Models,
    questions: &[Question],
    options: &CompareOptions,
    cancel: &CancelFlag,
) -> (Comparison, anyhow::Result<()>) {
    let mut comparison = Comparison::default();
    let outcome = for_each(questions, |question| {
        let compared = models
            .compare(question, options, cancel)
            .with_context(|| format!("the models cannot be compared on the question `{}`", question.id))?;
        let Some(compared) = compared else { return Ok(ControlFlow::Break(())) };
        comparison.add(compared);
        Ok(ControlFlow::Continue(()))
    });
    (comparison, outcome)
}

fn write_plot(path: &Path, report: &Report, weights: &[MatrixErrors]) -> anyhow::Result<()> {
    fs::write(path, plot::plot(report, weights)).with_context(|| format!("cannot write the plot to {}", path.display()))
}
