//! Progress of an export on the terminal.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use qvl::CancelFlag;
use qvl_export::{Progress, Stage};

/// A bar for each stage; where stderr is no terminal, nothing.
#[derive(Debug)]
pub struct ExportProgress<'a> {
    bar: Mutex<ProgressBar>,
    cancel: &'a CancelFlag,
}

impl<'a> ExportProgress<'a> {
    /// Progress of an export that `cancel` stops.
    pub fn new(cancel: &'a CancelFlag) -> Self {
        Self { bar: Mutex::new(ProgressBar::hidden()), cancel }
    }

    fn with_bar(&self, change: impl FnOnce(&mut ProgressBar)) {
        // A thread that panicked while it held the bar leaves it good enough to draw.
        change(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for ExportProgress<'_> {
    fn start(&self, stage: Stage, bytes: u64) {
        self.with_bar(|bar| {
            bar.finish_and_clear();
            *bar = ProgressBar::new(bytes).with_style(style(stage)).with_message(stage.label());
        });
    }

    fn advance(&self, bytes: u64) {
        self.with_bar(|bar| bar.inc(bytes));
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

impl Drop for ExportProgress<'_> {
    fn drop(&mut self) {
        self.with_bar(|bar| bar.finish_and_clear());
    }
}

fn style(stage: Stage) -> ProgressStyle {
    let template = match stage {
        Stage::Prompts => "{msg}",
        Stage::Calibrate => "{msg:24} {wide_bar} layer {pos}/{len} {eta}",
        _ => "{msg:24} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
