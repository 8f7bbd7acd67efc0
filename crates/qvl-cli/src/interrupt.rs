//! Ctrl-C: the first stops the work in hand, the next one the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use qvl::CancelFlag;
use signal_hook::low_level::exit;

/// The exit code of a program that was stopped by Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

/// The work that a Ctrl-C stops.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    flag: CancelFlag,
    working: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over Ctrl-C (and the request to terminate) for the whole program.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn install() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || handler.signalled()).context("cannot handle Ctrl-C")?;
        Ok(interrupt)
    }

    fn signalled(&self) {
        if self.working.load(Ordering::SeqCst) && !self.flag.is_cancelled() {
            self.flag.cancel();
        } else {
            // Without the cleaning up of `process::exit`: the other threads still use what that would destroy.
            exit(EXIT_INTERRUPTED.into());
        }
    }

    /// Does `work`, which looks at the flag that a Ctrl-C sets.
    pub fn during<T>(&self, work: impl FnOnce(&CancelFlag) -> T) -> T {
        self.flag.reset();
        self.working.store(true, Ordering::SeqCst);
        let result = work(&self.flag);
        self.working.store(false, Ordering::SeqCst);
        result
    }
}
