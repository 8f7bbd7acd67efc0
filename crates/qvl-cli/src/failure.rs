//! How failures are shown: `error: …`, its causes, and what would help.

use std::io::Write as _;

use qvl::runtime::RuntimeError;
use qvl::{EngineError, Error};

/// Prints `error` on stderr, in colour on a terminal (anstream honours NO_COLOR).
pub fn report(error: &anyhow::Error) {
    let mut stderr = anstream::stderr().lock();
    let mut text = format!("\x1b[1;31merror:\x1b[0m {error}\n");
    for cause in causes(error) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    if let Some(hint) = hint(error) {
        text.push_str(&format!("  \x1b[1mhint:\x1b[0m {hint}\n"));
    }
    // If stderr is closed there is nobody to tell.
    let _ = stderr.write_all(text.as_bytes());
}

/// The causes that add something to the messages above them.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = cause.clone();
            causes.push(cause);
        }
    }
    causes
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| match cause.downcast_ref::<Error>() {
        Some(Error::Engine(EngineError::Runtime(runtime))) => runtime_hint(runtime),
        Some(_) => None,
        None => cause.downcast_ref::<RuntimeError>().and_then(runtime_hint),
    })
}

fn runtime_hint(error: &RuntimeError) -> Option<&'static str> {
    matches!(error, RuntimeError::NotFound { .. })
        .then_some("with --yes (or QVL_YES=1) the library is installed on the way")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_that_its_error_quotes_is_not_repeated() {
        let error = anyhow!("no space left").context("cannot write a.onnx: no space left").context("the export failed");
        assert_eq!(causes(&error), ["cannot write a.onnx: no space left"]);
    }

    #[test]
    fn a_missing_library_gets_a_hint() {
        let error = anyhow::Error::from(RuntimeError::NotFound { rejected: Vec::new() }).context("cannot start");
        assert!(hint(&error).unwrap().contains("--yes"));
        assert_eq!(hint(&anyhow!("something else")), None);
    }
}
