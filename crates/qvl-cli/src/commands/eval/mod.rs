//! `qvl eval`

mod answers;
mod report;

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use qvl::eval::{AskOptions, Question, Tally, ask};
use qvl::{CancelFlag, Pipeline};

use super::questions::{check_place, for_each};
use crate::args::EvalArgs;
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::package;
use answers::AnswersFile;
use report::Report;

/// Answers all questions and prints the scores, also of a run that Ctrl-C or a question without an answer ended early. The exit
/// code says so.
///
/// # Errors
/// If the question file is not usable, the model cannot be loaded, an answer fails, or a result cannot be written.
pub fn eval(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    let data = args.questions.file()?;
    let interrupt = Interrupt::install()?;
    // Before the model is loaded, mistakes in the questions and in the places of the results are found.
    let questions = args.questions.read()?;
    let answers = args.answers.as_deref().map(AnswersFile::open).transpose()?;
    check_place(args.json.as_deref())?;
    interrupt.during(|cancel| {
        let mut pipeline = package::load(&args.package, &args.engine, cancel)?;
        answers.iter().try_for_each(AnswersFile::clear)?;
        let options = AskOptions {
            prompt: args.pixels.prompt_options(pipeline.processor().images().budget()),
            max_new_tokens: args.max_new_tokens,
        };
        let evaluation = Evaluation { questions: &questions, options, answers, cancel };
        let start = Instant::now();
        let (tally, outcome) = evaluation.run(&mut pipeline);
        let report = Report::new(args.package.package.as_deref(), data, &tally, questions.len(), start.elapsed());
        if outcome.is_ok() || tally.questions() > 0 {
            report.print_or_write(args.json.as_deref())?;
        }
        outcome?;
        Ok(if report.complete { ExitCode::SUCCESS } else { ExitCode::from(EXIT_INTERRUPTED) })
    })
}

struct Evaluation<'a> {
    questions: &'a [Question],
    options: AskOptions,
    answers: Option<AnswersFile>,
    cancel: &'a CancelFlag,
}

impl Evaluation<'_> {
    /// Asks one after the other, until all are answered, a stop is asked for, or one cannot be answered: the scores so far, and
    /// what went wrong.
    fn run(mut self, pipeline: &mut Pipeline) -> (Tally, anyhow::Result<()>) {
        let mut tally = Tally::default();
        let outcome = for_each(self.questions, |question| {
            let answer = ask(pipeline, question, &self.options, self.cancel)
                .with_context(|| format!("the question `{}` cannot be answered", question.id))?;
            let Some(answer) = answer else { return Ok(ControlFlow::Break(())) };
            let score = question.metric.score(&answer, &question.answer);
            tally.add(question, score);
            if let Some(file) = &mut self.answers {
                file.write(question, &answer, score)?;
            }
            Ok(ControlFlow::Continue(()))
        });
        (tally, outcome)
    }
}
