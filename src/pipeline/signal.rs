//! Stopping: the cancel flag that travels back through the pipeline, and the signals that set it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::Exit;

/// Why no more work is taken on.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicU8>);

const INTERRUPTED: u8 = 1;
const STOPPED: u8 = 2;

impl Cancel {
    /// The user asked to stop: batches in hand are finished.
    pub fn interrupt(&self) {
        self.0.fetch_or(INTERRUPTED, Ordering::Relaxed);
    }

    /// Whether the user asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.0.load(Ordering::Relaxed) & INTERRUPTED != 0
    }

    /// The pipeline stops itself: an error, a spent budget, a server restart.
    pub fn stop(&self) {
        self.0.fetch_or(STOPPED, Ordering::Relaxed);
    }

    /// Whether anything asks to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Ready for another pass, unless the user asked to stop.
    pub fn rearm(&self) {
        self.0.fetch_and(INTERRUPTED, Ordering::Relaxed);
    }
}

/// Sets `cancel` at the first Ctrl-C or SIGTERM and calls `on_first`; ends the process at the
/// second. Runs until the runtime does.
pub async fn watch_signals(cancel: Cancel, on_first: impl Fn() + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut first = true;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !first {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        first = false;
        cancel.interrupt();
        on_first();
    }
}
