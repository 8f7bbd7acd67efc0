//! The program `qvl`: arguments, progress, printing.

mod allocator;
mod args;
mod calibration;
mod commands;
mod demo;
mod failure;
mod interrupt;
mod library;
mod package;
mod progress;
mod terminal;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use qvl_export::ExportError;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command, RuntimeCommand};
use interrupt::EXIT_INTERRUPTED;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    match dispatch(&cli.command) {
        Ok(code) => code,
        Err(error) => exit_code_of(&error),
    }
}

fn dispatch(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Export(args) => commands::export(args)?,
        Command::Requantize(args) => commands::requantize(args)?,
        Command::Run(args) => return commands::run(args),
        Command::Eval(args) => return commands::eval(args),
        Command::Compare(args) => return commands::compare(args),
        Command::Bench(args) => return commands::bench(args),
        Command::Chat(args) => commands::chat(args)?,
        Command::Serve(args) => commands::serve(args)?,
        Command::Inspect(args) => commands::inspect(args)?,
        Command::Runtime(args) => match &args.command {
            RuntimeCommand::Install => library::install()?,
            RuntimeCommand::Where { ort_lib } => commands::runtime_where(ort_lib.as_deref())?,
        },
        Command::Completions { shell } => commands::completions(*shell)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows `error` and chooses the code: 2 for wrong usage, 130 for Ctrl-C, 1 for all else.
fn exit_code_of(error: &anyhow::Error) -> ExitCode {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        // If stderr is closed there is nobody to tell.
        let _ = usage.print();
        return ExitCode::from(2);
    }
    failure::report(error);
    let was_stopped = error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(ExportError::Cancelled))
            || matches!(cause.downcast_ref(), Some(qvl::Error::Export(ExportError::Cancelled)))
    });
    if was_stopped { ExitCode::from(EXIT_INTERRUPTED) } else { ExitCode::FAILURE }
}

/// Logs of the libraries, by the filter in QVL_LOG; warnings and errors without it.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("QVL_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).without_time().init();
}
