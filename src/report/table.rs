//! What a person sees at the end of a run: the files, the totals with their equation, the speed,
//! the rejects and how to replay them, and how to go on if the run was interrupted. It makes a
//! text for standard error from the report and looks at nothing else.

use std::fmt::Write;

use super::human;
use super::list::{Cell, Grid, Style};
use super::model::{FileReport, RejectExample, Report};
use crate::count::Counts;
use crate::error::Exit;

/// Files that are listed; of more, only the worst.
const FILES_SHOWN_MAX: usize = 20;
/// Rules of which an example is shown.
const RULES_SHOWN_MAX: usize = 20;
/// Ignored sources that are named.
const IGNORED_SHOWN_MAX: usize = 5;
/// Columns for a reject's original bytes.
const ORIGINAL_COLUMNS_MIN: usize = 40;

/// How the text is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; 0: no limit.
    pub width: usize,
    /// Whether colour is wanted.
    pub colour: bool,
}

/// The end of a run, for a person.
pub fn render(report: &Report, look: Look) -> String {
    let mut out = String::new();
    files(&mut out, report, look);
    ignored(&mut out, report);
    already_loaded(&mut out, report);
    totals(&mut out, report, look);
    speed(&mut out, report);
    rejects(&mut out, report, look);
    messages(&mut out, report, look);
    resume(&mut out, report, look);
    out
}

/// A line; writing to a string cannot fail.
fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn files(out: &mut String, report: &Report, look: Look) {
    let mut shown: Vec<&FileReport> =
        report.files.iter().filter(|file| !file.already_loaded).collect();
    let total = shown.len();
    if total == 0 {
        return;
    }
    if total > FILES_SHOWN_MAX {
        shown.sort_by_key(|file| std::cmp::Reverse(badness(file)));
        shown.truncate(FILES_SHOWN_MAX);
    }
    out.push_str(&files_grid(&shown).render(look.width, look.colour));
    for file in &shown {
        if let Some(error) = &file.error {
            let text = failure(&file.source, error);
            line(out, &Style::Red.paint(&text, look.colour));
        }
    }
    if total > shown.len() {
        let hidden = (total - shown.len()) as u64;
        line(out, &format!("... and {}, no worse than these", human::plural(hidden, "more file")));
    }
    out.push('\n');
}

/// A file and why it failed. The lines of a long explanation stay lines; control characters in them
/// do not reach the terminal.
fn failure(source: &str, error: &str) -> String {
    let lines: Vec<String> = error.lines().map(human::one_line).collect();
    let text = lines.join("\n");
    let source = human::one_line(source);
    if text.starts_with(&source) { text } else { format!("{source}: {text}") }
}

/// What is looked at first: failures and rejects, then what is not sealed, then what is large.
fn badness(file: &FileReport) -> (bool, u64, bool, u64) {
    (file.error.is_some(), file.counts.rejected, !file.sealed, file.bytes_read)
}

/// A count of [`Counts`] that has a column of its own, if any file has one.
pub(super) type CountColumn = (&'static str, fn(&Counts) -> u64);

/// All counts of a file, in the order of the equation.
pub(super) const COUNT_COLUMNS: [CountColumn; 7] = [
    ("read", |counts| counts.read),
    ("inserted", |counts| counts.inserted),
    ("updated", |counts| counts.updated),
    ("duplicate", |counts| counts.duplicate),
    ("conflicting", |counts| counts.conflicting),
    ("rejected", |counts| counts.rejected),
    ("skipped", |counts| counts.skipped),
];

fn files_grid(files: &[&FileReport]) -> Grid {
    let always = ["read", "inserted", "rejected"];
    let counts: Vec<CountColumn> = COUNT_COLUMNS
        .into_iter()
        .filter(|(name, get)| always.contains(name) || files.iter().any(|f| get(&f.counts) > 0))
        .collect();
    let mut headers = vec!["file", "layout"];
    headers.extend(counts.iter().map(|(name, _)| *name));
    let right: Vec<usize> = (2..headers.len()).collect();
    headers.push("state");
    let mut grid = Grid::new(headers).right(&right).paths(&[0]);
    for file in files {
        let mut row: Vec<Cell> = vec![file.source.as_str().into(), file.layout.as_deref().into()];
        row.extend(counts.iter().map(|(name, get)| {
            let number = get(&file.counts);
            let style = match *name {
                "rejected" if number > 0 => Style::Red,
                "conflicting" if number > 0 => Style::Yellow,
                _ => Style::Plain,
            };
            Cell::from(number).styled(style)
        }));
        row.push(state(file));
        grid.push(row);
    }
    grid
}

fn state(file: &FileReport) -> Cell {
    match file {
        FileReport { error: Some(_), .. } => Cell::from("failed").styled(Style::Red),
        FileReport { sealed: true, .. } => Cell::from("complete").styled(Style::Green),
        _ => Cell::from("not complete").styled(Style::Yellow),
    }
}

fn ignored(out: &mut String, report: &Report) {
    let ignored = &report.ignored;
    if ignored.is_empty() {
        return;
    }
    let named: Vec<String> =
        ignored.iter().take(IGNORED_SHOWN_MAX).map(|name| human::one_line(name)).collect();
    let more = match ignored.len() - named.len() {
        0 => String::new(),
        more => format!(" and {} more", human::count(more as u64)),
    };
    line(out, &format!("ignored, no market data: {}{more}", named.join(", ")));
}

fn already_loaded(out: &mut String, report: &Report) {
    let before = report.files.iter().filter(|file| file.already_loaded).count() as u64;
    if before == 0 {
        return;
    }
    let were = if before == 1 { "was" } else { "were" };
    let what = format!("{} {were} loaded before", human::plural(before, "file"));
    if before == report.files.len() as u64 {
        line(out, &format!("nothing new: {what} (--reload loads them again)"));
    } else {
        line(out, &what);
    }
}

fn totals(out: &mut String, report: &Report, look: Look) {
    let counts = &report.totals.counts;
    line(out, &Style::Bold.paint(&equation(counts), look.colour));
    if counts.conflicting > 0 {
        let text = format!(
            "{} of the duplicates differ from what is stored: newer values (--on-conflict update \
             takes them), or series told apart by a field that is not loaded (inspect shows those)",
            human::count(counts.conflicting)
        );
        line(out, &Style::Yellow.paint(&text, look.colour));
    }
    if !counts.add_up() || report.exit == Exit::Accounts {
        let text = "the accounts do not add up: do not trust this load, and keep its report";
        line(out, &Style::Red.paint(text, look.colour));
    }
}

/// `read 10 = inserted 9 + rejected 1`: what is zero is left out, but for `inserted`.
fn equation(counts: &Counts) -> String {
    let terms = [
        ("inserted", counts.inserted),
        ("updated", counts.updated),
        ("duplicate", counts.duplicate),
        ("rejected", counts.rejected),
        ("skipped", counts.skipped),
    ];
    let shown: Vec<String> = terms
        .iter()
        .filter(|(name, number)| *number > 0 || *name == "inserted")
        .map(|(name, number)| format!("{name} {}", human::count(*number)))
        .collect();
    let sign = if counts.add_up() { "=" } else { "is not" };
    format!("read {} {sign} {}", human::count(counts.read), shown.join(" + "))
}

fn speed(out: &mut String, report: &Report) {
    let totals = &report.totals;
    let mut text = format!(
        "{}, {} in {}",
        human::plural(totals.files, "file"),
        human::size(totals.bytes_read),
        human::seconds(report.elapsed_s)
    );
    if totals.counts.read > 0 {
        let _ = write!(
            text,
            ": {}, {}",
            human::rows_per_s(report.throughput.rows_per_s),
            human::mb_per_s(report.throughput.bytes_per_s)
        );
    }
    line(out, &text);
    let mut facts = Vec::new();
    if report.peak_memory_bytes > 0 {
        facts.push(format!("peak memory {}", human::memory(report.peak_memory_bytes)));
    }
    if let Some(strategy) = &report.strategy {
        facts.push(format!("strategy {strategy}"));
    }
    if let Some(stage) = &report.bottleneck {
        let busy = report
            .stages
            .get(stage)
            .map_or(String::new(), |busy| format!(" (busy {})", human::seconds(*busy)));
        facts.push(format!("bottleneck {stage}{busy}"));
    }
    if report.ladder.retries > 0 {
        facts.push(human::count(report.ladder.retries) + " retries");
    }
    if !facts.is_empty() {
        line(out, &facts.join(", "));
    }
}

fn rejects(out: &mut String, report: &Report, look: Look) {
    let mut rules: Vec<(&String, &u64)> = report.rejects_by_rule.iter().collect();
    if rules.is_empty() {
        return;
    }
    rules.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    line(out, "");
    line(out, &Style::Bold.paint("rejects by rule, with the first example of each", look.colour));
    let digits = rules.iter().map(|(_, n)| human::count(**n).len()).max().unwrap_or(0);
    for (rule, number) in rules.iter().take(RULES_SHOWN_MAX) {
        let number = format!("{:>digits$}", human::count(**number));
        line(out, &format!("{}  {rule}", Style::Red.paint(&number, look.colour)));
        if let Some(example) = report.reject_examples.iter().find(|e| e.rule == **rule) {
            reject_example(out, example, digits + 2, look);
        }
    }
    if rules.len() > RULES_SHOWN_MAX {
        let more = (rules.len() - RULES_SHOWN_MAX) as u64;
        line(out, &format!("... and {}", human::plural(more, "more rule")));
    }
    if !report.rejects_at.is_empty() {
        let places: Vec<String> =
            report.rejects_at.iter().map(|place| human::one_line(place)).collect();
        line(out, &format!("rejects are in {}", places.join(", ")));
    }
    if let Some(command) = &report.replay_command {
        line(out, &format!("mend and load them: {}", human::one_line(command)));
    }
}

fn reject_example(out: &mut String, example: &RejectExample, indent: usize, look: Look) {
    let indent = " ".repeat(indent);
    let place = human::one_line(&example.place.to_string());
    line(out, &format!("{indent}{place}: {}", human::one_line(&example.reason)));
    let width = if look.width == 0 { 160 } else { look.width };
    let columns = width.saturating_sub(indent.len()).max(ORIGINAL_COLUMNS_MIN);
    let raw = human::original(&example.raw, columns);
    if !raw.is_empty() {
        line(out, &format!("{indent}{}", Style::Dim.paint(&raw, look.colour)));
    }
}

fn messages(out: &mut String, report: &Report, look: Look) {
    if report.messages.is_empty() {
        return;
    }
    line(out, "");
    for message in &report.messages {
        // A message may have lines of its own; what steers a terminal is still escaped.
        for part in message.lines() {
            line(out, &Style::Yellow.paint(&human::one_line(part), look.colour));
        }
    }
}

fn resume(out: &mut String, report: &Report, look: Look) {
    if report.interrupted {
        line(out, "");
        let text = "interrupted: what is committed stays, nothing is loaded twice";
        line(out, &Style::Yellow.paint(text, look.colour));
    }
    if let Some(command) = &report.resume_command {
        line(out, &format!("to go on: {}", human::one_line(command)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Database;
    use crate::span::Place;

    const PLAIN: Look = Look { width: 0, colour: false };

    fn file(source: &str, counts: Counts) -> FileReport {
        FileReport {
            source: source.into(),
            layout: Some("canonical".into()),
            counts,
            sealed: true,
            bytes_read: 374_000_000,
            ..FileReport::default()
        }
    }

    fn report(files: Vec<FileReport>) -> Report {
        let mut report = Report::new("r1", "backfill", "2026-01-02T03:04:05Z".parse().unwrap());
        report.database = Database::default();
        report.files = files;
        report.finish("2026-01-02T03:04:17.3Z".parse().unwrap());
        report
    }

    fn million() -> Counts {
        Counts {
            read: 5_000_000,
            inserted: 4_999_800,
            duplicate: 100,
            rejected: 100,
            ..Counts::default()
        }
    }

    #[test]
    fn a_whole_report_reads_like_this() {
        let mut report = report(vec![file("data/btc.csv", million())]);
        report.peak_memory_bytes = 210 << 20;
        report.strategy = Some("direct".into());
        report.bottleneck = Some("write".into());
        report.stages.insert("write".into(), 22.0);
        report.rejects_by_rule = [("bad_number".into(), 99), ("nul".into(), 1)].into();
        report.reject_examples = vec![RejectExample {
            rule: "nul".into(),
            place: Place { source: "data/btc.csv".into(), row: Some(7), line: Some(8), byte: None },
            reason: "column symbol holds a NUL byte".into(),
            raw: b"B\0TC,1m".to_vec(),
        }];
        report.rejects_at = vec!["tidegate.reject".into()];
        report.replay_command = Some("tidegate rejects replay r1".into());
        let expected = "\
file          layout          read   inserted  duplicate  rejected  state
data/btc.csv  canonical  5,000,000  4,999,800        100       100  complete

read 5,000,000 = inserted 4,999,800 + duplicate 100 + rejected 100
1 file, 374 MB in 12.3 s: 406,504 rows/s, 30.4 MB/s
peak memory 210 MiB, strategy direct, bottleneck write (busy 22.0 s)

rejects by rule, with the first example of each
99  bad_number
 1  nul
    data/btc.csv, line 8, row 7: column symbol holds a NUL byte
    B\\u{0}TC,1m
rejects are in tidegate.reject
mend and load them: tidegate rejects replay r1
";
        assert_eq!(render(&report, PLAIN), expected);
    }

    #[test]
    fn a_second_run_says_that_nothing_is_new() {
        let before = FileReport { already_loaded: true, ..file("a.csv", Counts::default()) };
        let shown = render(&report(vec![before.clone(), before.clone()]), PLAIN);
        assert!(shown.starts_with("nothing new: 2 files were loaded before"), "{shown}");
        assert!(shown.contains("read 0 = inserted 0\n"), "{shown}");
        let shown = render(&report(vec![before, file("b.csv", million())]), PLAIN);
        assert!(shown.contains("1 file was loaded before\n"), "{shown}");
        assert!(!shown.contains("a.csv"), "{shown}");
    }

    #[test]
    fn of_many_files_the_worst_are_shown() {
        let good = Counts { read: 1, inserted: 1, ..Counts::default() };
        let mut files: Vec<FileReport> =
            (0..40).map(|at| file(&format!("good{at:02}.csv"), good)).collect();
        files[31].counts = Counts { read: 1, rejected: 1, ..Counts::default() };
        files[32].sealed = false;
        files[33].bytes_read += 1;
        files[34].error = Some("it broke\nhere".into());
        let shown = render(&report(files), PLAIN);
        let names: Vec<&str> = shown.lines().skip(1).take(4).map(|line| &line[..6]).collect();
        assert_eq!(names, ["good34", "good31", "good32", "good33"], "{shown}");
        assert!(shown.contains("... and 20 more files"), "{shown}");
        assert!(shown.contains("good34.csv: it broke\nhere"), "{shown}");
    }

    #[test]
    fn accounts_that_do_not_add_up_are_named() {
        let bad = Counts { read: 5, inserted: 4, ..Counts::default() };
        let shown = render(&report(vec![file("a.csv", bad)]), PLAIN);
        assert!(shown.contains("read 5 is not inserted 4\n"), "{shown}");
        assert!(shown.contains("the accounts do not add up"), "{shown}");
    }

    #[test]
    fn conflicting_duplicates_are_pointed_out() {
        let counts = Counts { read: 2, duplicate: 2, conflicting: 1, ..Counts::default() };
        let shown = render(&report(vec![file("a.csv", counts)]), PLAIN);
        assert!(shown.contains("1 of the duplicates differ"), "{shown}");
    }

    #[test]
    fn an_interrupted_run_says_how_to_go_on() {
        let mut report = report(vec![FileReport { sealed: false, ..file("a.csv", million()) }]);
        report.interrupted = true;
        report.resume_command = Some("tidegate backfill a.csv".into());
        let shown = render(&report, PLAIN);
        assert!(shown.ends_with("to go on: tidegate backfill a.csv\n"), "{shown}");
        assert!(shown.contains("not complete"), "{shown}");
    }

    #[test]
    fn lines_of_the_table_fit_the_terminal() {
        let long = file(&"very/long/path/".repeat(10), million());
        let shown = render(&report(vec![long]), Look { width: 100, colour: false });
        assert!(shown.lines().all(|line| human::width(line) <= 100), "{shown}");
    }

    #[test]
    fn colour_is_only_there_when_asked() {
        let report = report(vec![file("a.csv", million())]);
        assert!(!render(&report, PLAIN).contains('\u{1b}'));
        assert!(
            render(&report, Look { width: 0, colour: true }).contains("\u{1b}[31m100\u{1b}[0m")
        );
    }
}
