//! The live view of loads that run elsewhere: a screen of text for a terminal, or a line or an
//! object a load for logs. It is told what to show and how large the screen is, and looks at
//! nothing.

use serde::Serialize;

use super::human;
use super::list::Style;
use super::table::Look;

/// What is going on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LiveView {
    /// Loads that run, the newest first.
    pub loads: Vec<LiveLoad>,
    /// Why nothing is known at the moment.
    pub problem: Option<String>,
}

/// A load that runs, as it said last.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LiveLoad {
    /// The run's number in the ledger.
    pub run_id: i64,
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: i32,
    /// Seconds since it said something.
    pub silent_s: f64,
    /// Whether that is so long that it must be dead, or cut off.
    pub lost: bool,
    /// Seconds since it began to load.
    pub elapsed_s: f64,
    /// Bytes of all its sources; 0 if not known.
    pub bytes_total: u64,
    /// Bytes that are done with.
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
    /// Files that are done.
    pub files_done: u64,
    /// Chunks that wait to be decoded.
    pub chunks_waiting: u64,
    /// Batches that wait for a writer.
    pub batches_waiting: u64,
    /// Writers at work.
    pub writers_busy: u64,
    /// The part of the last moment in which each stage was occupied.
    pub stages: Vec<(String, f64)>,
    /// The stage that the others wait for.
    pub bottleneck: Option<String>,
    /// What it waits for, if it is held back.
    pub waiting: Option<String>,
    /// Records a second over about the last minute, the newest last.
    pub recent_rows_per_s: Vec<f64>,
}

/// The stages in the order of the flow; JSON objects have their keys in no order.
const FLOW: [&str; 5] = ["read", "decode", "sort", "merge", "write"];
/// Columns of a stage's bar.
const STAGE_COLUMNS: usize = 14;
/// Steps of the latest speed that make the speed that is shown.
const SPEED_STEPS: usize = 10;

impl LiveLoad {
    /// Records a second over the last moments.
    pub fn rows_per_s(&self) -> f64 {
        let recent = &self.recent_rows_per_s;
        let latest = &recent[recent.len().saturating_sub(SPEED_STEPS)..];
        latest.iter().sum::<f64>() / latest.len().max(1) as f64
    }

    /// The part that is done, 0 to 1, if it is known.
    pub fn part(&self) -> Option<f64> {
        (self.bytes_total > 0)
            .then(|| (self.bytes_done as f64 / self.bytes_total as f64).clamp(0.0, 1.0))
    }

    /// Seconds until it is done, if its speed so far holds.
    pub fn eta_s(&self) -> Option<f64> {
        let part = self.part().filter(|part| *part > 0.0 && !self.lost)?;
        Some(self.elapsed_s / part * (1.0 - part))
    }

    /// A line for logs.
    pub fn line(&self) -> String {
        let mut parts = vec![format!("run {}", self.run_id)];
        if self.lost {
            parts.push(format!("no sign of life for {}", human::seconds(self.silent_s)));
        }
        parts.extend(self.part().map(|part| format!("{:.0}%", (part * 100.0).floor())));
        parts.extend(self.eta_s().map(|eta| format!("ETA {}", human::seconds(eta))));
        parts.push(format!("{} rows", human::count(self.rows_written)));
        parts.push(human::rows_per_s(self.rows_per_s()));
        parts.push(format!("{} of {} files", self.files_done, self.files_total));
        parts.extend(self.bottleneck.as_ref().map(|stage| format!("bottleneck {stage}")));
        parts.extend(self.waiting.as_ref().map(|what| format!("waiting: {what}")));
        parts.push(human::plural(self.rejects, "reject"));
        parts.push(format!("{} retries", human::count(self.retries)));
        human::one_line(&parts.join(", "))
    }

    fn screen(&self, look: Look) -> Vec<String> {
        let width = look.width.max(20);
        let title = format!("Run {}", self.run_id);
        let title = Style::Bold.paint(&title, look.colour);
        let place = format!("{} pid {}", human::one_line(&self.host), self.pid);
        let state = match self.lost {
            true => Style::Red.paint(
                &format!("no sign of life for {}", human::seconds(self.silent_s)),
                look.colour,
            ),
            false => Style::Green.paint("loading", look.colour),
        };
        let place = Style::Dim.paint(&place, look.colour);
        let mut lines =
            vec![format!("{title}  {state}  {}  {place}", human::seconds(self.elapsed_s))];
        lines.push(self.progress(width));
        let speed = human::rows_per_s(self.rows_per_s());
        let room = width.saturating_sub(human::width(&speed) + 4);
        lines.push(format!("  {} {speed}", spark(&self.recent_rows_per_s, room.min(60))));
        lines.push(format!(
            "  {} read, {} written, {} of {} files",
            human::count(self.rows_read),
            human::count(self.rows_written),
            human::count(self.files_done),
            human::count(self.files_total)
        ));
        for name in FLOW {
            let Some((_, share)) = self.stages.iter().find(|(stage, _)| stage == name) else {
                continue;
            };
            lines.push(self.stage(name, *share, look));
        }
        let troubled = |count: u64, text: String, style: Style| match count {
            0 => Style::Dim.paint(&text, look.colour),
            _ => style.paint(&text, look.colour),
        };
        let rejects = human::plural(self.rejects, "reject");
        let retries = format!("{} retries", human::count(self.retries));
        lines.push(format!(
            "  {}   {}",
            troubled(self.rejects, rejects, Style::Red),
            troubled(self.retries, retries, Style::Yellow)
        ));
        if let Some(waiting) = &self.waiting {
            let text = format!("waiting: {}", human::one_line(waiting));
            lines.push(format!("  {}", Style::Yellow.paint(&text, look.colour)));
        }
        lines
    }

    fn progress(&self, width: usize) -> String {
        let Some(part) = self.part() else {
            return "  size not known: no ETA".to_owned();
        };
        let eta =
            self.eta_s().map_or(String::new(), |eta| format!("  ETA {}", human::seconds(eta)));
        let after = format!(
            " {:>3.0}%  {} of {}{eta}",
            (part * 100.0).floor(),
            human::size(self.bytes_done),
            human::size(self.bytes_total)
        );
        let room = width.saturating_sub(human::width(&after) + 3).clamp(4, 40);
        format!("  {}{after}", bar(part, room))
    }

    fn stage(&self, name: &str, share: f64, look: Look) -> String {
        let waits = match name {
            "decode" => format!("  {} waiting", human::plural(self.chunks_waiting, "chunk")),
            "write" => format!(
                "  {} waiting, {} at work",
                human::plural(self.batches_waiting, "batch").replace("batchs", "batches"),
                human::plural(self.writers_busy, "writer")
            ),
            _ => String::new(),
        };
        // Before the rest of the line, which a narrow terminal cuts off.
        let mark = match self.bottleneck.as_deref() == Some(name) {
            true => format!("  {}", Style::Yellow.paint("<- bottleneck", look.colour)),
            false => String::new(),
        };
        format!("  {name:<7}{} {:>3.0}%{mark}{waits}", bar(share, STAGE_COLUMNS), share * 100.0)
    }
}

/// A bar of `columns` columns, filled to a part.
fn bar(part: f64, columns: usize) -> String {
    let eighths = (part.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    let mut text = "\u{2588}".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        text.extend(char::from_u32(0x2590 - (eighths % 8) as u32));
    }
    let filled = eighths.div_ceil(8);
    text + &"\u{00b7}".repeat(columns.saturating_sub(filled))
}

/// A line of small columns, the newest last, at most `columns` of them.
pub fn spark(values: &[f64], columns: usize) -> String {
    let shown = &values[values.len().saturating_sub(columns)..];
    let most = shown.iter().copied().fold(0.0, f64::max);
    let column = |value: &f64| {
        let level = if most > 0.0 { (value / most * 7.0).round().clamp(0.0, 7.0) } else { 0.0 };
        char::from_u32(0x2581 + level as u32).unwrap_or(' ')
    };
    shown.iter().map(column).collect()
}

/// The screen, as lines no wider than `look.width` and no more than `rows`.
pub fn screen(view: &LiveView, look: Look, rows: usize) -> Vec<String> {
    let running = view.loads.iter().filter(|load| !load.lost).count() as u64;
    let head = format!("{} running", human::plural(running, "load"));
    let keys = Style::Dim.paint("q quits", look.colour);
    let mut lines =
        vec![format!("{}   {keys}", Style::Bold.paint(&head, look.colour)), String::new()];
    if let Some(problem) = &view.problem {
        lines.push(Style::Red.paint(&human::one_line(problem), look.colour));
    } else if view.loads.is_empty() {
        lines.push("Nothing is loading now. `tidegate status` shows what was loaded.".to_owned());
    }
    for load in &view.loads {
        lines.extend(load.screen(look));
        lines.push(String::new());
    }
    if lines.len() > rows {
        lines.truncate(rows.saturating_sub(1));
        lines.push(Style::Dim.paint("... the terminal is too small for all of it", look.colour));
    }
    lines.iter().map(|line| clip(line, look.width)).collect()
}

/// A line cut to `columns` columns; colours in it take none, and end with it.
fn clip(line: &str, columns: usize) -> String {
    let mut out = String::with_capacity(line.len());
    let (mut used, mut escape, mut coloured) = (0, false, false);
    for character in line.chars() {
        if escape || character == '\u{1b}' {
            escape = character != 'm';
            coloured = true;
            out.push(character);
            continue;
        }
        used += human::width(character.encode_utf8(&mut [0; 4]));
        if used > columns {
            break;
        }
        out.push(character);
    }
    if coloured {
        out.push_str("\u{1b}[0m");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> LiveLoad {
        LiveLoad {
            run_id: 7,
            host: "loader".into(),
            pid: 42,
            elapsed_s: 30.0,
            bytes_total: 1_000_000_000,
            bytes_done: 250_000_000,
            rows_read: 1_300_000,
            rows_written: 1_250_000,
            files_total: 4,
            files_done: 1,
            batches_waiting: 1,
            writers_busy: 2,
            stages: vec![("decode".into(), 0.4), ("read".into(), 0.25), ("write".into(), 0.97)],
            bottleneck: Some("write".into()),
            recent_rows_per_s: vec![0.0, 20_000.0, 40_000.0],
            ..LiveLoad::default()
        }
    }

    const PLAIN: Look = Look { width: 80, colour: false };

    #[test]
    fn a_screen_shows_a_load() {
        let view = LiveView { loads: vec![load()], problem: None };
        let lines = screen(&view, PLAIN, 40);
        let text = lines.join("\n");
        for part in [
            "1 load running",
            "Run 7  loading  30.0 s  loader pid 42",
            " 25%  250 MB of 1.0 GB  ETA 1 min 30 s",
            "▁▅█ 20,000 rows/s",
            "1,300,000 read, 1,250,000 written, 1 of 4 files",
            "97%  <- bottleneck  1 batch waiting, 2 writers at work",
            "0 rejects   0 retries",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        let order: Vec<usize> = ["read ", "decode", "write "]
            .iter()
            .map(|name| lines.iter().position(|line| line.trim().starts_with(name)).unwrap())
            .collect();
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn a_small_terminal_is_never_overrun() {
        let view = LiveView { loads: vec![load(), load()], problem: None };
        for colour in [false, true] {
            for width in [1, 8, 20, 37] {
                let lines = screen(&view, Look { width, colour }, 9);
                assert_eq!(lines.len(), 9);
                for line in lines {
                    let plain = strip(&line);
                    assert!(human::width(&plain) <= width, "{width}: {plain:?}");
                    assert!(!colour || !line.contains('\u{1b}') || line.ends_with("\u{1b}[0m"));
                }
            }
        }
    }

    fn strip(line: &str) -> String {
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or("").to_owned();
        parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
    }

    #[test]
    fn dead_loads_say_so_and_foreign_text_steers_nothing() {
        let dead = LiveLoad {
            lost: true,
            silent_s: 125.0,
            host: "a\u{1b}[2Jb".into(),
            waiting: Some("x\ny".into()),
            ..load()
        };
        assert!(
            dead.line().contains("run 7, no sign of life for 2 min 05 s, 25%"),
            "{}",
            dead.line()
        );
        assert!(!dead.line().contains("ETA") && !dead.line().contains('\n'));
        let view = LiveView { loads: vec![dead], problem: None };
        let text = screen(&view, PLAIN, 40).join("\n");
        assert!(text.contains("0 loads running") && text.contains("no sign of life"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn bars_and_sparks_fill_their_room() {
        assert_eq!(bar(0.5, 4), "██··");
        assert_eq!(bar(0.55, 4), "██▎·");
        assert_eq!(bar(2.0, 2), "██");
        assert_eq!(bar(0.0, 2), "··");
        assert_eq!(spark(&[0.0, 1.0, 2.0, 4.0], 3), "▃▅█");
        assert_eq!(spark(&[0.0, 0.0], 3), "▁▁");
        assert_eq!(spark(&[], 3), "");
    }
}
