//! `qvl completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::terminal::print;

/// Prints the completions for `shell`.
///
/// # Errors
/// If they cannot be printed.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "qvl", &mut script);
    print(&String::from_utf8_lossy(&script))
}
