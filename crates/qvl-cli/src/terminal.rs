//! Printing: results to stdout, all else to stderr.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::ops::ControlFlow;

use anyhow::Context as _;

/// Prints a line on stderr. If that is closed, there is nobody to tell.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output that remembers when its reader has gone, as `head` goes when it has seen enough.
#[derive(Debug, Default)]
pub struct Output {
    failure: Option<io::Error>,
}

impl Output {
    /// Prints `text` at once; breaks off if it cannot be printed.
    pub fn print(&mut self, text: &str) -> ControlFlow<()> {
        if self.failure.is_some() {
            return ControlFlow::Break(());
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Whether the reader has gone.
    pub fn is_closed(&self) -> bool {
        self.failure.is_some()
    }

    /// Ends the output. A reader who has gone is no failure.
    ///
    /// # Errors
    /// If something could not be printed for another reason, such as a full disk.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.failure {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")
            }
            _ => Ok(()),
        }
    }
}

/// Prints `text` to stdout.
///
/// # Errors
/// As [`Output::finish`].
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut output = Output::default();
    let _ = output.print(text);
    output.finish()
}
