//! Ctrl-C and the end of a batch job: finish the batch, keep what is there, leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether someone asked for an end.
#[derive(Clone, Default)]
pub struct Stop {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

/// Exit codes of a shell for a program that a signal ended.
const INTERRUPTED: u8 = 128 + 2;
const TERMINATED: u8 = 128 + 15;

impl Stop {
    /// Listens to Ctrl-C and SIGTERM from here on. A second Ctrl-C ends the process at once.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        flag::register_conditional_shutdown(SIGINT, i32::from(INTERRUPTED), stop.interrupted.clone())?;
        flag::register(SIGINT, stop.interrupted.clone())?;
        flag::register(SIGTERM, stop.terminated.clone())?;
        Ok(stop)
    }

    pub fn asked(&self) -> bool {
        self.code().is_some()
    }

    /// The exit code that the signal asks for.
    pub fn code(&self) -> Option<u8> {
        if self.interrupted.load(Ordering::Relaxed) {
            Some(INTERRUPTED)
        } else if self.terminated.load(Ordering::Relaxed) {
            Some(TERMINATED)
        } else {
            None
        }
    }
}
