//! Progress while a load runs: a bar on a terminal, or plain lines or JSON objects for logs. It is
//! told the state by [`Snapshot`]s and takes the time from them; it starts no thread, and whoever
//! runs the load calls [`Progress::update`] a few times a second. A failing output is ignored:
//! a closed terminal must not end a load.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use super::human;

/// Time between two lines for logs.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// Time between two JSON objects.
const JSON_EVERY: Duration = Duration::from_secs(1);
/// The speed shown is that of about the last so many seconds.
const SPEED_WINDOW_S: f64 = 10.0;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar that is drawn again and again; only on a terminal.
    Bar,
    /// A line every few seconds.
    Plain,
    /// A JSON object a line.
    Json,
    /// Nothing, not even messages: they are in the report.
    None,
}

impl ProgressMode {
    /// What `auto` means: a bar on a terminal, plain lines elsewhere.
    pub fn auto(is_terminal: bool) -> Self {
        if is_terminal { ProgressMode::Bar } else { ProgressMode::Plain }
    }

    /// This mode where it is possible: a bar where there is no terminal becomes plain lines.
    #[must_use]
    pub fn on(self, is_terminal: bool) -> Self {
        if self == ProgressMode::Bar { Self::auto(is_terminal) } else { self }
    }
}

/// How full the queues of a load are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queues {
    /// Chunks that were read and wait to be decoded.
    pub chunks_waiting: u64,
    /// Batches that were decoded and wait for a writer.
    pub batches_waiting: u64,
    /// Writers that are at work.
    pub writers_busy: u64,
}

/// What a load waits for, because it was told to be polite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// A replica that is behind.
    Replica {
        /// By so many seconds.
        behind_s: u64,
    },
    /// A checkpoint that has too much WAL behind it.
    Wal {
        /// So many bytes.
        bytes: u64,
    },
    /// Others that wait for locks of ours.
    Locks {
        /// So many.
        waiters: u64,
    },
    /// Room on the server's disk.
    Disk {
        /// So many bytes are free.
        free_bytes: u64,
    },
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Waiting::Replica { behind_s } => write!(f, "replica {behind_s} s behind"),
            Waiting::Wal { bytes } => write!(f, "{} of WAL to checkpoint", human::size(*bytes)),
            Waiting::Locks { waiters: 1 } => f.write_str("1 other session waits for a lock"),
            Waiting::Locks { waiters } => {
                write!(f, "{} other sessions wait for locks", human::count(*waiters))
            }
            Waiting::Disk { free_bytes } => {
                write!(f, "{} left on the server's disk", human::size(*free_bytes))
            }
        }
    }
}

/// The state of a load at one moment. All numbers only grow, but for the queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes of all sources, as stored; 0 if not known (standard input).
    pub bytes_total: u64,
    /// Bytes of them that are done with.
    pub bytes_done: u64,
    /// Records read.
    pub rows_read: u64,
    /// Records whose batch is committed.
    pub rows_written: u64,
    /// Records rejected.
    pub rejects: u64,
    /// Waits before something was tried again.
    pub retries: u64,
    /// Files to load.
    pub files_total: u64,
    /// Files that are sealed or were loaded before.
    pub files_done: u64,
    /// Time since the load started.
    pub elapsed: Duration,
    /// The queues.
    pub queues: Queues,
    /// What it waits for, if it is held back.
    pub waiting: Option<Waiting>,
    /// Whether the load has ended.
    pub finished: bool,
}

impl Snapshot {
    /// The figures by name, as every view for programs has them.
    pub fn figures(&self) -> Map<String, Value> {
        let queues = &self.queues;
        [
            ("elapsed_s", json!(seconds(self.elapsed))),
            ("bytes_total", json!(self.bytes_total)),
            ("bytes_done", json!(self.bytes_done)),
            ("rows_read", json!(self.rows_read)),
            ("rows_written", json!(self.rows_written)),
            ("rejects", json!(self.rejects)),
            ("retries", json!(self.retries)),
            ("files_total", json!(self.files_total)),
            ("files_done", json!(self.files_done)),
            ("chunks_waiting", json!(queues.chunks_waiting)),
            ("batches_waiting", json!(queues.batches_waiting)),
            ("writers_busy", json!(queues.writers_busy)),
            ("waiting", json!(self.waiting.map(|waiting| waiting.to_string()))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }
}

impl Snapshot {
    /// The part of the bytes that is done, from 0 to 1, if it is known.
    fn part(&self) -> Option<f64> {
        (self.bytes_total > 0)
            .then(|| (self.bytes_done as f64 / self.bytes_total as f64).clamp(0.0, 1.0))
    }
}

/// Shows the progress of one load.
pub struct Progress {
    output: Output,
    speed: Speed,
    last: Snapshot,
    /// When a line was last written; none was if absent.
    written: Option<Duration>,
    ended: bool,
}

enum Output {
    Bar(ProgressBar),
    Plain(Box<dyn Write + Send>),
    Json(Box<dyn Write + Send>),
    Nothing,
}

impl Progress {
    /// Progress in this mode: a bar is drawn on standard error, lines go to `out`. The caller has
    /// made sure by [`ProgressMode::on`] that a bar has a terminal.
    pub fn new(mode: ProgressMode, out: Box<dyn Write + Send>) -> Self {
        match mode {
            ProgressMode::Bar => Self::bar(ProgressDrawTarget::stderr()),
            ProgressMode::Plain => Self::of(Output::Plain(out)),
            ProgressMode::Json => Self::of(Output::Json(out)),
            ProgressMode::None => Self::of(Output::Nothing),
        }
    }

    /// A bar drawn on `target`.
    pub fn bar(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(bar_style(false));
        Self::of(Output::Bar(bar))
    }

    fn of(output: Output) -> Self {
        Self {
            output,
            speed: Speed::default(),
            last: Snapshot::default(),
            written: None,
            ended: false,
        }
    }

    /// Shows the state, unless it was shown a moment ago; the last one is always shown.
    pub fn update(&mut self, now: &Snapshot) {
        if self.ended {
            return;
        }
        self.speed.update(now);
        self.last = *now;
        let due = match self.output {
            Output::Bar(_) => true,
            Output::Plain(_) => self.is_due(PLAIN_EVERY),
            Output::Json(_) => self.is_due(JSON_EVERY),
            Output::Nothing => false,
        };
        if now.finished {
            self.finish();
        } else if due {
            self.written = Some(now.elapsed);
            self.show("progress");
        }
    }

    /// A line of its own: above the bar, or among the lines.
    pub fn message(&mut self, text: &str) {
        let text = human::one_line(text);
        match &mut self.output {
            Output::Bar(bar) => bar.println(text),
            Output::Plain(out) => write_line(out, &text),
            Output::Json(out) => {
                let elapsed_s = seconds(self.last.elapsed);
                let event = json!({"event": "message", "elapsed_s": elapsed_s, "text": text});
                write_line(out, &event.to_string());
            }
            Output::Nothing => {}
        }
    }

    /// Ends the progress: the bar is removed, a log gets its last line. Later calls do nothing.
    pub fn finish(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Output::Bar(bar) = &self.output {
            // The final table says it all; a bar left above it would say it twice.
            bar.finish_and_clear();
        } else {
            self.show("finished");
        }
    }

    fn is_due(&self, every: Duration) -> bool {
        match self.written {
            Some(written) => self.last.elapsed.saturating_sub(written) >= every,
            // The first line comes early enough to show that the program is alive.
            None => self.last.elapsed >= every.min(JSON_EVERY),
        }
    }

    fn show(&mut self, event: &str) {
        let (now, speed) = (self.last, self.speed.shown(&self.last, event == "finished"));
        match &mut self.output {
            Output::Bar(bar) => {
                // Every setter may draw: the length comes last, when all else is in place.
                bar.set_message(summary(&now, &speed));
                bar.set_position(now.bytes_done);
                bar.set_style(bar_style(now.bytes_total > 0));
                bar.set_length(now.bytes_total);
                bar.tick();
            }
            Output::Plain(out) => {
                let (part, what) = (percent(&now), summary(&now, &speed));
                let elapsed = human::duration(now.elapsed);
                let head = if event == "finished" { "finished after " } else { "" };
                write_line(out, &format!("{head}{elapsed}: {part}{what}"));
            }
            Output::Json(out) => write_line(out, &object(event, &now, &speed).to_string()),
            Output::Nothing => {}
        }
    }
}

fn bar_style(sized: bool) -> ProgressStyle {
    let template =
        if sized { "{bar:24} {percent:>3}%  {wide_msg}" } else { "{spinner} {wide_msg}" };
    // The templates are constants, drawn by a test: the plain bar is never what is seen.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn write_line(out: &mut Box<dyn Write + Send>, text: &str) {
    let _ = out.write_all(format!("{text}\n").as_bytes()).and_then(|()| out.flush());
}

fn percent(now: &Snapshot) -> String {
    now.part().map_or(String::new(), |part| format!("{:.0}%, ", (part * 100.0).floor()))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

/// What a person sees behind the bar or in a line.
fn summary(now: &Snapshot, speed: &Shown) -> String {
    let mut parts = Vec::with_capacity(8);
    if let Some(waiting) = now.waiting.filter(|_| !now.finished) {
        parts.push(format!("waiting: {waiting}"));
    }
    if let Some(eta) = speed.eta.filter(|_| !now.finished) {
        parts.push(format!("ETA {}", human::duration(eta)));
    }
    parts.push(format!("{} rows", human::count(now.rows_written)));
    parts.push(human::rows_per_s(speed.rows_per_s));
    parts.push(human::mb_per_s(speed.bytes_per_s));
    if now.files_total > 1 {
        let (done, total) = (human::count(now.files_done), human::count(now.files_total));
        parts.push(format!("{done} of {total} files"));
    }
    if now.rejects > 0 {
        parts.push(human::plural(now.rejects, "reject"));
    }
    match now.retries {
        0 => {}
        1 => parts.push("1 retry".to_owned()),
        retries => parts.push(format!("{} retries", human::count(retries))),
    }
    parts.join(", ")
}

fn object(event: &str, now: &Snapshot, speed: &Shown) -> Value {
    let mut object = now.figures();
    for (name, value) in [
        ("event", json!(event)),
        ("rows_per_s", json!(speed.rows_per_s.round())),
        ("bytes_per_s", json!(speed.bytes_per_s.round())),
        ("eta_s", json!(speed.eta.map(seconds))),
    ] {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

/// Speed as it is shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    rows_per_s: f64,
    bytes_per_s: f64,
    eta: Option<Duration>,
}

/// The speed of about the last [`SPEED_WINDOW_S`]: an average in which older parts fade.
#[derive(Debug, Default)]
struct Speed {
    elapsed_s: f64,
    rows: u64,
    bytes: u64,
    rows_per_s: f64,
    bytes_per_s: f64,
    /// How much of the average is made of what was seen, 0 to 1: at first it is little.
    weight: f64,
}

impl Speed {
    fn update(&mut self, now: &Snapshot) {
        let elapsed_s = now.elapsed.as_secs_f64();
        let step_s = elapsed_s - self.elapsed_s;
        if step_s <= 0.0 {
            return;
        }
        let keep = (-step_s / SPEED_WINDOW_S).exp();
        let rows = now.rows_written.saturating_sub(self.rows) as f64 / step_s;
        let bytes = now.bytes_done.saturating_sub(self.bytes) as f64 / step_s;
        self.rows_per_s = self.rows_per_s * keep + rows * (1.0 - keep);
        self.bytes_per_s = self.bytes_per_s * keep + bytes * (1.0 - keep);
        self.weight = self.weight * keep + (1.0 - keep);
        (self.elapsed_s, self.rows, self.bytes) = (elapsed_s, now.rows_written, now.bytes_done);
    }

    /// The recent speed, or at the end that of the whole load.
    fn shown(&self, now: &Snapshot, whole: bool) -> Shown {
        let elapsed_s = now.elapsed.as_secs_f64();
        let (rows_per_s, bytes_per_s) = if whole && elapsed_s > 0.0 {
            (now.rows_written as f64 / elapsed_s, now.bytes_done as f64 / elapsed_s)
        } else if self.weight > 0.0 {
            (self.rows_per_s / self.weight, self.bytes_per_s / self.weight)
        } else {
            (0.0, 0.0)
        };
        let left = now.bytes_total.saturating_sub(now.bytes_done) as f64;
        let eta = (now.bytes_total > 0 && bytes_per_s >= 1.0)
            .then(|| Duration::try_from_secs_f64(left / bytes_per_s).ok())
            .flatten();
        Shown { rows_per_s, bytes_per_s, eta }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        fn lines(&self) -> Vec<String> {
            let bytes = self.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A terminal that keeps what was drawn.
    impl indicatif::TermLike for Memory {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.clone().write_all(format!("{text}\n").as_bytes())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.clone().write_all(text.as_bytes())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_line("")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The state after so many tenths of a second at 400,000 rows and 30 MB a second.
    fn at(tenths: u64) -> Snapshot {
        Snapshot {
            bytes_total: 300_000_000,
            bytes_done: tenths * 3_000_000,
            rows_read: tenths * 41_000,
            rows_written: tenths * 40_000,
            files_total: 2,
            elapsed: Duration::from_millis(tenths * 100),
            queues: Queues { chunks_waiting: 3, batches_waiting: 2, writers_busy: 1 },
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_bar_needs_a_terminal() {
        assert_eq!(ProgressMode::auto(true), ProgressMode::Bar);
        assert_eq!(ProgressMode::auto(false), ProgressMode::Plain);
        assert_eq!(ProgressMode::Bar.on(false), ProgressMode::Plain);
        assert_eq!(ProgressMode::Json.on(false), ProgressMode::Json);
        assert_eq!(ProgressMode::None.on(true), ProgressMode::None);
    }

    #[test]
    fn plain_lines_come_every_five_seconds() {
        let memory = Memory::default();
        let mut progress = Progress::new(ProgressMode::Plain, Box::new(memory.clone()));
        (0..=80).for_each(|tenths| progress.update(&at(tenths)));
        progress.message("Reconnected\nto the server.");
        progress.update(&Snapshot { finished: true, rejects: 1, retries: 2, ..at(100) });
        progress.finish();
        let expected = [
            "1.0 s: 10%, ETA 9.0 s, 400,000 rows, 400,000 rows/s, 30.0 MB/s, 0 of 2 files",
            "6.0 s: 60%, ETA 4.0 s, 2,400,000 rows, 400,000 rows/s, 30.0 MB/s, 0 of 2 files",
            "Reconnected\\nto the server.",
            "finished after 10.0 s: 100%, 4,000,000 rows, 400,000 rows/s, 30.0 MB/s, 0 of 2 files, \
             1 reject, 2 retries",
        ];
        assert_eq!(memory.lines(), expected);
    }

    #[test]
    fn json_lines_carry_the_same_numbers() {
        let memory = Memory::default();
        let mut progress = Progress::new(ProgressMode::Json, Box::new(memory.clone()));
        (0..=20).for_each(|tenths| progress.update(&at(tenths)));
        progress.message("a \"quoted\" word");
        progress.finish();
        progress.update(&at(90));
        let lines: Vec<Value> =
            memory.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["progress", "progress", "message", "finished"]);
        assert_eq!(lines[0]["elapsed_s"], 1.0);
        assert_eq!(lines[0]["rows_per_s"], 400_000.0);
        assert_eq!(lines[0]["eta_s"], 9.0);
        assert_eq!(lines[0]["writers_busy"], 1);
        assert_eq!(lines[2]["text"], "a \"quoted\" word");
    }

    #[test]
    fn the_speed_follows_what_happens_now() {
        let mut speed = Speed::default();
        (0..=600).for_each(|tenths| speed.update(&at(tenths)));
        // The load stands still for half a minute.
        let still = Snapshot { elapsed: Duration::from_secs(90), ..at(600) };
        speed.update(&still);
        let shown = speed.shown(&still, false);
        assert!(shown.rows_per_s < 40_000.0, "{shown:?}");
        let whole = speed.shown(&still, true);
        assert!((whole.rows_per_s - 266_667.0).abs() < 1.0, "{whole:?}");
    }

    #[test]
    fn without_a_size_there_is_no_eta() {
        let memory = Memory::default();
        let mut progress = Progress::new(ProgressMode::Plain, Box::new(memory.clone()));
        progress.update(&Snapshot { bytes_total: 0, files_total: 1, ..at(10) });
        assert_eq!(memory.lines(), ["1.0 s: 400,000 rows, 400,000 rows/s, 30.0 MB/s"]);
    }

    #[test]
    fn a_bar_is_drawn_and_removed() {
        let memory = Memory::default();
        let target = ProgressDrawTarget::term_like(Box::new(memory.clone()));
        let mut progress = Progress::bar(target);
        progress.update(&Snapshot { bytes_total: 0, ..at(5) });
        progress.update(&at(25));
        progress.message("Above the bar.");
        progress.update(&Snapshot { finished: true, ..at(100) });
        let drawn = memory.lines().join("\n");
        assert!(drawn.contains(" 25%  ETA 7.5 s, 1,000,000 rows, 400,000 rows/s"), "{drawn}");
        assert!(drawn.contains("Above the bar."), "{drawn}");
        assert!(!drawn.contains("  0%"), "no percentage of an unknown size: {drawn}");
    }

    #[test]
    fn no_progress_is_silent() {
        let memory = Memory::default();
        let mut progress = Progress::new(ProgressMode::None, Box::new(memory.clone()));
        progress.update(&at(100));
        progress.message("hidden");
        progress.finish();
        assert!(memory.lines().is_empty());
    }
}
