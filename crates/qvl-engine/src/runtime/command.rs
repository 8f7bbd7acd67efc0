//! Running the user's own programs: found on the PATH, never asked anything, never shown.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program `name` in a directory of the PATH. Relative directories are left out.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH")?;
    env::split_paths(&path).filter(|d| d.is_absolute()).map(|d| d.join(&file)).find(|p| is_usable(p))
}

/// Whether `program` can be run without a dialog. macOS ships a `python3` that asks to install Apple's developer tools.
pub(super) fn is_usable(program: &Path) -> bool {
    if cfg!(target_os = "macos") && program.starts_with("/usr/bin") {
        let tools = ["/Library/Developer/CommandLineTools", "/Applications/Xcode.app"];
        return program.is_file() && tools.iter().any(|t| Path::new(t).exists());
    }
    program.is_file()
}

/// Runs `program` with nothing to read and returns what it wrote.
///
/// # Errors
/// If it cannot be started.
pub(super) fn run(program: &Path, arguments: &[&str]) -> io::Result<Output> {
    Command::new(program)
        .args(arguments)
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .output()
}

/// The last lines of what a failed program wrote, in one line.
pub(super) fn last_words(output: &Output) -> String {
    const LINES: usize = 3;
    let text = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let end = lines[lines.len().saturating_sub(LINES)..].join(" ");
    if end.is_empty() { output.status.to_string() } else { end }
}
