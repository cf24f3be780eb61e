//! `status --watch`: the live view, drawn again every second. On a terminal it takes the other
//! screen and gives everything back at the end, however that comes; elsewhere it prints lines.

use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output;
use crate::command::status::Watcher;
use crate::command::{Access, CommandError};
use crate::error::Exit;
use crate::report::live::{LiveView, screen};
use crate::report::table::Look;

/// Time between two looks for a terminal, and for lines.
const EVERY: Duration = Duration::from_secs(1);
const LINES_EVERY: Duration = Duration::from_secs(5);
/// Time between two looks for a key.
const KEYS_EVERY: Duration = Duration::from_millis(100);

/// Shows what is loading until somebody has seen enough.
///
/// # Errors
/// When there is no connection to begin with.
pub async fn watch(access: &Access, json: bool) -> Result<Exit, CommandError> {
    let mut watcher = Watcher::new(access).await?;
    let mut stops = Stops::new()?;
    if !json && io::stdout().is_terminal() {
        on_terminal(&mut watcher, &mut stops).await;
        return Ok(Exit::Done);
    }
    loop {
        let view = watcher.look().await;
        if print(&view, json).is_err() {
            // Whoever read the lines is gone.
            return Ok(Exit::Done);
        }
        let every = if json { EVERY } else { LINES_EVERY };
        tokio::select! {
            () = stops.asked() => return Ok(Exit::Done),
            () = tokio::time::sleep(every) => {}
        }
    }
}

fn print(view: &LiveView, json: bool) -> io::Result<()> {
    let mut text = String::new();
    if json {
        text = serde_json::to_string(view)?;
        text.push('\n');
    } else if let Some(problem) = &view.problem {
        output::message(problem);
    } else if view.loads.is_empty() {
        text.push_str("nothing is loading\n");
    }
    if !json {
        view.loads.iter().for_each(|load| text.extend([load.line().as_str(), "\n"]));
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

async fn on_terminal(watcher: &mut Watcher, stops: &mut Stops) {
    let Ok(mut resized) = signal(SignalKind::window_change()) else { return };
    let terminal = Terminal::take();
    loop {
        let view = tokio::select! {
            () = stops.asked() => return,
            view = watcher.look() => view,
        };
        let looked = Instant::now();
        let mut drawn = None;
        while looked.elapsed() < EVERY {
            // The same view is drawn again when only the terminal changes.
            if drawn.replace(size()) != Some(size()) {
                let (width, rows) = size();
                let look = Look { width, colour: output::colour_allowed() };
                if terminal.draw(&screen(&view, look, rows)).is_err() {
                    return;
                }
            }
            tokio::select! {
                () = stops.asked() => return,
                _ = resized.recv() => {}
                () = tokio::time::sleep(KEYS_EVERY) => {}
            }
            if terminal.quit_pressed() {
                return;
            }
        }
    }
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// Ctrl-C, SIGTERM, and the end of the terminal's session.
struct Stops([Signal; 3]);

impl Stops {
    fn new() -> Result<Self, CommandError> {
        let on = |kind| {
            signal(kind).map_err(|cause| {
                CommandError::Refused(format!("cannot listen for signals: {cause}"))
            })
        };
        Ok(Self([
            on(SignalKind::interrupt())?,
            on(SignalKind::terminate())?,
            on(SignalKind::hangup())?,
        ]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The terminal while it shows the view; given back when this is dropped, also by a panic.
struct Terminal {
    /// How it was; none if keys are not read from it.
    before: Option<Termios>,
}

impl Terminal {
    fn take() -> Self {
        let before = io::stdin().is_terminal().then(|| termios::tcgetattr(io::stdin()).ok());
        let before = before.flatten();
        if let Some(before) = &before {
            let mut keys = before.clone();
            // Keys one by one and unseen; Ctrl-C stays a signal. A read never waits.
            keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            keys.special_codes[SpecialCodeIndex::VMIN] = 0;
            keys.special_codes[SpecialCodeIndex::VTIME] = 0;
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &keys);
        }
        // The other screen, without a cursor.
        let _ = write_now("\x1b[?1049h\x1b[?25l");
        Self { before }
    }

    /// Whether q was pressed. Does not wait.
    fn quit_pressed(&self) -> bool {
        let mut keys = [0; 16];
        self.before.is_some()
            && io::stdin()
                .read(&mut keys)
                .is_ok_and(|read| keys[..read].iter().any(|key| matches!(key, b'q' | b'Q')))
    }

    fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (at, line) in lines.iter().enumerate() {
            let before = if at > 0 { "\r\n" } else { "" };
            // Each line clears what stood behind it, and the last all below: nothing flickers.
            text.extend([before, line, "\x1b[K"]);
        }
        text.push_str("\x1b[J");
        write_now(&text)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = write_now("\x1b[?25h\x1b[?1049l");
        if let Some(before) = &self.before {
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

fn write_now(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
