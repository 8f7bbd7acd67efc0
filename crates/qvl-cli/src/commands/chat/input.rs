//! Lines from a person, with history, or from a pipe.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use etcetera::BaseStrategy as _;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

/// Longest line that is read from a pipe.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// What came.
pub(super) enum Typed {
    Line(String),
    /// Ctrl-C while a line was edited: the line is dropped.
    Interrupted,
    End,
}

/// Where lines come from.
pub(super) enum Input {
    Terminal { editor: Box<DefaultEditor>, history: Option<PathBuf> },
    Pipe,
}

impl Input {
    /// A line editor with the history of earlier chats if a person types; otherwise plain lines.
    pub(super) fn open() -> anyhow::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(Self::Pipe);
        }
        let mut editor = Box::new(DefaultEditor::new().context("cannot use the terminal")?);
        let history = history_file();
        if let Some(path) = &history {
            // There is none before the first chat.
            let _ = editor.load_history(path);
        }
        Ok(Self::Terminal { editor, history })
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// The next line.
    pub(super) fn read(&mut self) -> anyhow::Result<Typed> {
        match self {
            Self::Pipe => read_pipe(),
            Self::Terminal { editor, history } => match editor.readline("> ") {
                Ok(line) => {
                    remember(editor, history.as_ref(), &line);
                    Ok(Typed::Line(line))
                }
                Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
                Err(ReadlineError::Eof) => Ok(Typed::End),
                Err(error) => Err(error).context("cannot read from the terminal"),
            },
        }
    }
}

/// History is a convenience: where it cannot be written, the chat goes on without.
fn remember(editor: &mut DefaultEditor, history: Option<&PathBuf>, line: &str) {
    let _ = editor.add_history_entry(line);
    if let Some(path) = history {
        let _ = editor.save_history(path);
    }
}

/// `qvl/history` in the user's state directory (on Windows and for others without one, the data directory).
fn history_file() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    let directory = strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join("qvl");
    fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}

fn read_pipe() -> anyhow::Result<Typed> {
    let mut line = String::new();
    let bytes = io::stdin().lock().take(MAX_LINE_BYTES).read_line(&mut line).context("cannot read stdin")?;
    if bytes as u64 == MAX_LINE_BYTES {
        bail!("a line on stdin has over {MAX_LINE_BYTES} bytes; shorten it");
    }
    Ok(if bytes == 0 { Typed::End } else { Typed::Line(line) })
}
