//! The ONNX Runtime library: if there is none, it is offered.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use qvl::runtime::{self, RuntimeError};

use crate::args::EngineArgs;
use crate::terminal::note;

/// Sees that there is a library, if the engine is ONNX Runtime: installs it with `--yes`, asks on a terminal, and fails
/// otherwise.
///
/// # Errors
/// If there is no library and none was installed.
pub fn ensure(args: &EngineArgs) -> anyhow::Result<()> {
    if !args.options().uses_ort() {
        return Ok(());
    }
    match runtime::locate(args.setup.ort_lib.as_deref()) {
        Ok(_) => Ok(()),
        Err(RuntimeError::NotFound { .. }) if args.setup.yes || agreed() => install(),
        Err(error) => Err(error.into()),
    }
}

/// Installs the library and tells each step on stderr.
///
/// # Errors
/// If it cannot be installed.
pub fn install() -> anyhow::Result<()> {
    runtime::install(&|step| note(step))?;
    Ok(())
}

fn agreed() -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    let mut stderr = io::stderr();
    let question = format!("The ONNX Runtime library ({}) was not found. Install it now? [Y/n] ", runtime::VERSION);
    let mut answer = String::new();
    let asked = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    // The end of the input is no answer.
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    read.is_ok_and(|bytes| bytes > 0) && is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn enter_is_yes() {
        assert!(is_yes("\n") && is_yes("Y\r\n") && is_yes("yes"));
        assert!(!is_yes("n\n") && !is_yes("what?"));
    }
}
