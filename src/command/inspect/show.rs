//! What was found in a file that is known, for people and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::InspectRequest;
use super::draft::symbol_in;
use super::known::Known;
use super::quality::{Gaps, Series};
use super::roles::interval_of;
use super::subject::{Subject, layout_word};
use super::unknown::free_name;
use crate::command::LayoutChoice;
use crate::layout::{GivenFacts, Recognised};
use crate::limit::INSPECT_BYTES_MAX;
use crate::report::human;
use crate::report::list::{Cell, Grid};

/// Series that are listed one by one.
const SERIES_SHOWN_MAX: usize = 10;

/// A point in time, UTC.
pub(super) fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |ts| ts.to_string())
}

/// A file whose layout is known, and what it holds.
pub(super) struct Shown<'a> {
    pub subject: &'a Subject,
    pub recognised: &'a Recognised,
    /// Facts that nothing says.
    pub missing: &'a [&'static str],
    /// The layout that was asked for.
    pub layout: Option<&'a LayoutChoice>,
    pub known: &'a Known,
    pub request: &'a InspectRequest,
}

impl Shown<'_> {
    pub fn text(&self) -> String {
        let Self { subject, recognised, known, .. } = self;
        let Recognised { layout, dataset, .. } = recognised;
        let mut out = format!("{}: {layout} ({dataset})\n", subject.name);
        for why in &recognised.why {
            line(&mut out, why);
        }
        out.push_str(&self.what_is_missing());
        let refused = match known.rejected() {
            0 => String::new(),
            rejected => format!(", {} of them would be rejected", human::count(rejected)),
        };
        let records = human::plural(known.records, "record");
        let size = subject.bytes.map(human::size).unwrap_or_default();
        let part = if known.whole { "" } else { " in the part that was read" };
        out.push_str(&format!("\n{size}, {records}{part}{refused}\n"));
        if known.skipped > 0 {
            let skipped = human::count(known.skipped);
            line(&mut out, &format!("{skipped} of them are not of this dataset, or hold nothing"));
        }
        for (table, rows) in &known.children {
            line(&mut out, &format!("and {} for {table}", human::plural(*rows, "row")));
        }
        if !known.whole {
            line(&mut out, &format!("{}; --all reads it to its end", self.part()));
        }
        out.push_str("\ncolumns\n");
        indent(&mut out, &self.columns().render(0, false));
        if !known.unused.is_empty() {
            let names = known.unused.iter().map(|name| human::one_line(name));
            line(&mut out, &format!("not loaded: {}", names.collect::<Vec<_>>().join(", ")));
        }
        if let Some((from, to)) = known.range_us {
            let zone = &recognised.facts.zone;
            let zone = match (self.missing.contains(&"zone"), zone.as_str()) {
                (true, _) => " by a clock whose zone nothing says".to_owned(),
                (false, "UTC") => String::new(),
                (false, zone) => format!(", read as {zone}"),
            };
            out.push_str(&format!("\ntime       {} to {}{zone}\n", instant(from), instant(to)));
        }
        let series = &known.quality.series;
        if series.iter().any(|series| series.rows > 0 && !series.name.is_empty()) {
            out.push_str(&self.series());
        }
        out.push_str("\nrecords\n");
        indent(&mut out, &self.sample().render(0, false));
        out.push_str("\nquality\n");
        for found in self.quality() {
            line(&mut out, &found);
        }
        if known.nothing_good() {
            out.push_str(&format!(
                "\nnothing of it would be loaded: it is not what the layout {layout} reads; to \
                 have one of its own drafted:\n  tidegate inspect {} --write-layout {}\n",
                word(&subject.file),
                word(&free_name(&subject.file)),
            ));
            return out;
        }
        out.push_str(&format!("\nload it: {}\n", self.command()));
        for (word, what) in self.blanks() {
            line(&mut out, &format!("{word} stands for {what}"));
        }
        out
    }

    /// What a load would ask for, each with its flag.
    fn what_is_missing(&self) -> String {
        if self.missing.is_empty() {
            return String::new();
        }
        let said = self.missing.iter().map(|fact| {
            let value = self.value_for(fact);
            let what = if *fact == "zone" { "time zone" } else { fact };
            format!("the {what} (--{} {})", flag(fact), word(&value))
        });
        let said = said.collect::<Vec<_>>().join(" and ");
        format!("\nmissing: neither the file nor its name says {said}\n")
    }

    /// What a flag for a missing fact may say: what is likely, else a word that stands for it.
    fn value_for(&self, fact: &str) -> String {
        let (likely, blank) = match fact {
            "interval" => (self.intervals().1, "INTERVAL"),
            "zone" => (None, "ZONE"),
            "date" => (None, "DATE"),
            _ => (symbol_in(&self.subject.name), "TICKER"),
        };
        likely.unwrap_or_else(|| blank.to_owned())
    }

    /// The words of the command that the user has to replace, and what each stands for.
    fn blanks(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            ("TICKER", "the ticker, which neither file nor name says"),
            ("INTERVAL", "the bars' interval, such as 1m, 1h, 1d"),
            ("ZONE", "the zone of the clock that the times are of, such as Europe/Athens or UTC-5"),
            ("DATE", "the day from whose midnight the times count, such as 2024-01-31"),
        ];
        let shown: Vec<String> = self.missing.iter().map(|fact| self.value_for(fact)).collect();
        all.into_iter().filter(|(word, _)| shown.iter().any(|value| value == word)).collect()
    }

    /// What was read of a content that is too large to be read whole.
    fn part(&self) -> String {
        match &self.subject.parquet {
            Some(_) => {
                format!("only its first {} were read", human::plural(self.known.records, "record"))
            }
            None => format!("no more than {} of a file are read", human::size(INSPECT_BYTES_MAX)),
        }
    }

    fn columns(&self) -> Grid {
        let mut grid =
            Grid::new(["column", "from", "type", "empty", "least", "greatest"]).right(&[3]);
        for column in &self.known.columns {
            let (least, most) = column.range.clone().unwrap_or_default();
            let from = match self.missing.contains(&column.name.as_str()) {
                true => "nothing says it".to_owned(),
                false => column.from.clone(),
            };
            grid.push([
                Cell::from(column.name.clone()),
                Cell::from(from),
                Cell::from(column.kind.to_owned()),
                Cell::from(column.nulls),
                Cell::from(least),
                Cell::from(most),
            ]);
        }
        grid
    }

    fn sample(&self) -> Grid {
        let names = self.known.columns.iter().map(|column| column.name.clone());
        let mut grid = Grid::new(names);
        let cells = |row: &Vec<String>| -> Vec<Cell> {
            row.iter().map(|value| Cell::from(human::fit_end(value, 40))).collect()
        };
        self.known.head.iter().for_each(|row| grid.push(cells(row)));
        let shown = (self.known.head.len() + self.known.tail.len()) as u64;
        if self.known.good > shown {
            grid.push([Cell::from("...".to_owned())]);
        }
        self.known.tail.iter().for_each(|row| grid.push(cells(row)));
        grid
    }

    /// One line a series, the longest ones first.
    fn series(&self) -> String {
        let series = self.longest_first();
        let headers = ["series", "records", "from", "to", "usual step", "gaps", "missing"];
        let stepwise = self.known.quality.places.stepwise;
        let shown = if stepwise { headers.len() } else { 4 };
        let right: &[usize] = if stepwise { &[1, 5, 6] } else { &[1] };
        let mut grid = Grid::new(headers.into_iter().take(shown)).right(right);
        for one in series.iter().take(SERIES_SHOWN_MAX) {
            let step = one.usual_step();
            let gaps = step.map_or_else(Gaps::default, |(step, _)| one.gaps(step));
            let cells = [
                Cell::from(series_name(one)),
                Cell::from(one.rows),
                Cell::from(instant(one.first_us)),
                Cell::from(instant(one.last_us)),
                Cell::from(step.map_or_else(String::new, step_text)),
                Cell::from(gaps.gaps),
                Cell::from(gaps.missing),
            ];
            grid.push(cells.into_iter().take(shown));
        }
        let mut out = String::from("\nseries\n");
        indent(&mut out, &grid.render(0, false));
        if series.len() > SERIES_SHOWN_MAX {
            let more = (series.len() - SERIES_SHOWN_MAX) as u64;
            line(&mut out, &format!("... and {} more", human::count(more)));
        }
        out
    }

    fn longest_first(&self) -> Vec<&Series> {
        let mut series: Vec<&Series> = self.known.quality.series.iter().collect();
        series.sort_by_key(|one| std::cmp::Reverse(one.rows));
        series
    }

    /// The interval that the file or its facts tell, and the one that its steps have.
    fn intervals(&self) -> (Option<String>, Option<String>) {
        let said = self.recognised.facts.interval.clone();
        let said = said.filter(|_| !self.missing.contains(&"interval"));
        let first = self.longest_first().first().and_then(|series| series.usual_step());
        (said, first.filter(|(_, share)| *share >= 0.5).and_then(|(step, _)| interval_of(step)))
    }

    /// What is worth knowing, a sentence each.
    fn quality(&self) -> Vec<String> {
        let quality = &self.known.quality;
        let mut said = vec![format!("order: {}", order(&quality.series))];
        if !quality.places.stepwise {
            said.extend(self.duplicates());
            said.extend(self.findings());
            return said;
        }
        let mut gaps = Gaps::default();
        let mut longest: Option<(&Series, (i64, i64))> = None;
        for series in &quality.series {
            let Some((step, _)) = series.usual_step() else { continue };
            let own = series.gaps(step);
            gaps.gaps += own.gaps;
            gaps.missing += own.missing;
            gaps.weekends += own.weekends;
            let long = series.longest.0 > step * 3 / 2;
            if long && longest.is_none_or(|(_, longest)| series.longest.0 > longest.0) {
                longest = Some((series, series.longest));
            }
        }
        said.push(gaps_text(gaps, longest));
        said.extend(self.duplicates());
        if let (Some(interval), Some(step)) = self.intervals()
            && interval != step
        {
            said.push(format!("the interval is {interval}, but most steps are {step}"));
        }
        said.extend(self.findings());
        said
    }

    /// Keys that come again.
    fn duplicates(&self) -> Vec<String> {
        let quality = &self.known.quality;
        if quality.places.id == Some(None) {
            return vec!["records have no id: equal ones are all loaded".to_owned()];
        }
        let mut said = vec![match quality.duplicate {
            0 => "duplicate keys: none".to_owned(),
            count => format!(
                "duplicate keys: {}, {} of them with other values",
                human::count(count),
                human::count(quality.conflicting)
            ),
        }];
        if quality.keys_full {
            said.push("duplicates far apart are counted among the first million keys".to_owned());
        }
        said
    }

    /// Rules and signs.
    fn findings(&self) -> Vec<String> {
        let mut said = Vec::new();
        let quality = &self.known.quality;
        for finding in &quality.findings {
            let place = if self.recognised.shape.is_some() { "line" } else { "record" };
            said.push(format!(
                "{}: {} ({}), the first at {place} {}",
                finding.rule,
                human::count(finding.count),
                explain(finding.rule),
                finding.first
            ));
        }
        for (rule, refused) in &self.known.refused {
            let place = if self.recognised.shape.is_some() { "line" } else { "record" };
            said.push(format!(
                "would be rejected as {rule}: {}, the first at {place} {}: {}",
                human::count(refused.count),
                refused.first.0,
                human::one_line(&refused.first.1)
            ));
        }
        said
    }

    /// The command that loads the file.
    fn command(&self) -> String {
        let mut words = vec!["tidegate backfill".to_owned(), word(&self.subject.file)];
        words.extend(self.layout.map(|layout| format!("--layout {}", layout_word(layout))));
        let mut command = words.join(" ");
        command.push_str(&given_words(&self.request.facts));
        for fact in self.missing {
            command.push_str(&format!(" --{} {}", flag(fact), word(&self.value_for(fact))));
        }
        command
    }

    pub fn json(&self) -> Value {
        let Self { recognised, known, .. } = self;
        let series: Vec<Value> = self
            .longest_first()
            .into_iter()
            .take(1_000)
            .map(|one| {
                let step = one.usual_step();
                let gaps = step.map_or_else(Gaps::default, |(step, _)| one.gaps(step));
                json!({
                    "series": one.name, "records": one.rows, "from": instant(one.first_us),
                    "to": instant(one.last_us), "step_s": step.map(|(step, _)| step as f64 / 1e6),
                    "gaps": gaps.gaps, "missing": gaps.missing, "weekends": gaps.weekends,
                    "order": order(std::slice::from_ref(one)),
                })
            })
            .collect();
        let columns = known.columns.iter().map(|column| json!({
            "name": column.name, "from": column.from, "type": column.kind, "empty": column.nulls,
            "least": column.range.as_ref().map(|range| &range.0),
            "greatest": column.range.as_ref().map(|range| &range.1),
        }));
        let rejects = known.refused.iter().map(|(rule, refused)| {
            (
                rule.clone(),
                json!({
                    "count": refused.count, "first": refused.first.0, "reason": refused.first.1,
                }),
            )
        });
        let findings = known.quality.findings.iter().map(|finding| {
            (finding.rule.to_owned(), json!({ "count": finding.count, "first": finding.first }))
        });
        json!({
            "source": self.subject.name, "bytes": self.subject.bytes, "recognised": true,
            "read_all": known.whole,
            "layout": recognised.layout, "dataset": recognised.dataset, "why": recognised.why,
            "missing": self.missing, "zone": recognised.facts.zone,
            "interval": self.intervals().0, "usual_interval": self.intervals().1,
            "skipped": known.skipped,
            "children": known.children.iter().cloned().collect::<BTreeMap<_, _>>(),
            "records": known.records, "rejected": known.rejected(),
            "from": known.range_us.map(|range| instant(range.0)),
            "to": known.range_us.map(|range| instant(range.1)),
            "columns": columns.collect::<Vec<_>>(), "unused": known.unused,
            "series": series, "series_count": known.quality.series.len(),
            "sample": known.head.iter().chain(&known.tail).collect::<Vec<_>>(),
            "duplicate": known.quality.duplicate, "conflicting": known.quality.conflicting,
            "findings": findings.collect::<serde_json::Map<_, _>>(),
            "rejects_by_rule": rejects.collect::<serde_json::Map<_, _>>(),
            "load": self.command(),
        })
    }
}

fn series_name(series: &Series) -> String {
    series.name.iter().map(|word| human::one_line(word)).collect::<Vec<_>>().join(" ")
}

fn step_text((step, share): (i64, f64)) -> String {
    let step = interval_of(step).unwrap_or_else(|| human::seconds(step as f64 / 1e6));
    format!("{step} ({:.0} %)", share * 100.0)
}

fn order(series: &[Series]) -> &'static str {
    let (forwards, backwards) =
        series.iter().fold((0, 0), |(f, b), series| (f + series.forwards, b + series.backwards));
    match (forwards, backwards) {
        (0, 0) => "one record a series",
        (_, 0) => "oldest first",
        (0, _) => "newest first",
        _ => "neither oldest nor newest first",
    }
}

fn gaps_text(gaps: Gaps, longest: Option<(&Series, (i64, i64))>) -> String {
    let mut text = match gaps.gaps {
        0 => "gaps: none".to_owned(),
        count => format!(
            "gaps: {}, of {} in all, if the market never closes",
            human::count(count),
            human::plural(gaps.missing, "record")
        ),
    };
    if gaps.weekends > 0 {
        text.push_str(&format!("; weekends without records: {}", human::count(gaps.weekends)));
    }
    if let Some((series, (step, start))) = longest {
        let long = human::seconds(step as f64 / 1e6);
        text.push_str(&format!(
            "; the longest step is {long} after {} ({})",
            instant(start),
            series_name(series)
        ));
    }
    text
}

fn explain(rule: &str) -> &'static str {
    match rule {
        "above_high" => "a price above the high",
        "below_low" => "a price below the low",
        "price_not_positive" => "a price of zero or less",
        "negative_volume" => "less than nothing traded",
        "zero_volume" => "nothing traded",
        "flat_without_volume" => "one price throughout and nothing traded: filled in?",
        "future_time" => "a time that has not come",
        "jump" => "a close over 20 times the one before, or under a twentieth: other units?",
        _ => "",
    }
}

/// The facts that were given, as flags, each with a space before it.
pub(super) fn given_words(given: &GivenFacts) -> String {
    let GivenFacts { symbol, interval, zone, venue, date, dataset } = given;
    let flags = [
        ("dataset", dataset),
        ("symbol", symbol),
        ("interval", interval),
        ("tz", zone),
        ("venue", venue),
        ("date", date),
    ];
    let flag = |(flag, value): (&str, &Option<String>)| {
        value.as_ref().map(|value| format!(" --{flag} {}", word(value)))
    };
    flags.into_iter().filter_map(flag).collect()
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str("  ");
    out.push_str(text);
    out.push('\n');
}

pub(super) fn indent(out: &mut String, text: &str) {
    text.lines().for_each(|text| line(out, text));
}

/// The flag that gives a fact, without its dashes.
fn flag(fact: &str) -> &'static str {
    match fact {
        "interval" => "interval",
        "zone" => "tz",
        "date" => "date",
        _ => "symbol",
    }
}

/// A word as a shell takes it.
pub(super) fn word(text: &str) -> String {
    crate::command::summary::shell_word(text)
}
