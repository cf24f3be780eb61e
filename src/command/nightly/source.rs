//! One source's night: what is new or changed is loaded, what was rewritten is told apart, and the
//! table is compared with what the source counts itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;

use super::look::{Looked, Sighted, look};
use super::rows::{Counting, covering, dataset_of, keep_short, known_short};
use super::{COMMAND, Event, Night, NightlyRequest, SourceRequest, dates, manifest, tell};
use crate::command::access::bring_up;
use crate::command::backfill::{Running, domains};
use crate::command::plan::plan;
use crate::command::survey::{self, Survey};
use crate::command::watch::Watch;
use crate::command::{CommandError, LoadRequest, coverage, memo};
use crate::db::ledger::{self, SourceEnd};
use crate::error::Exit;
use crate::report::human;
use crate::report::model::{FileReport, Report};
use crate::report::nightly::{Restated, ShortDay, SourceReport};
use crate::source::Spooler;

/// A day, or a day of a ticker, with what is expected and found.
type Short = BTreeMap<(Date, Option<String>), (u64, u64)>;

/// What is known of a source while it is at work.
struct AtWork<'a> {
    source: &'a SourceRequest,
    days: Vec<Date>,
    looked: Looked,
    /// Loads of files that are unchanged.
    kept: Vec<i64>,
    spooler: Spooler,
}

impl Night<'_> {
    /// Does one source's work. Whatever happens is in what it returns.
    pub(super) async fn source(&mut self, source: &SourceRequest) -> (Report, SourceReport) {
        let began = Instant::now();
        let mut part = Report::new(self.run_id.to_string(), COMMAND, Timestamp::now());
        let mut outcome = SourceReport { name: source.name.clone(), ..SourceReport::default() };
        if let Err(error) = Box::pin(self.try_source(source, &mut part, &mut outcome)).await {
            part.exit = part.exit.worse(Exit::Failed);
            part.messages.push(error.to_string());
        }
        if source.strict && !(outcome.missing_days.is_empty() && outcome.short_days.is_empty()) {
            part.exit = part.exit.worse(Exit::Failed);
        }
        part.finish(Timestamp::now());
        outcome.exit = part.exit;
        if let Err(error) = self.end_source(&part, &mut outcome).await {
            part.messages.push(format!("how it ended could not be kept: {error}"));
        }
        outcome.elapsed_s = began.elapsed().as_secs_f64();
        outcome.totals = part.totals;
        outcome.ignored.clone_from(&part.ignored);
        outcome.files.clone_from(&part.files);
        self.conclude(&mut part, &mut outcome);
        (part, outcome)
    }

    /// Puts into words how a source ended.
    fn conclude(&mut self, part: &mut Report, outcome: &mut SourceReport) {
        let name = outcome.name.clone();
        outcome.next_step = tell::next_step(self.request, &name, self.run_id, outcome.exit);
        let said = tell::sentence(part, outcome);
        let elapsed = human::seconds(outcome.elapsed_s);
        let state = match outcome.exit {
            Exit::Done => "done",
            Exit::Rejects => "done, with rejects",
            Exit::Budget => "STOPPED, too many rejects",
            Exit::Accounts => "WRONG, the accounts do not add up",
            Exit::Interrupted => "interrupted",
            _ => "FAILED",
        };
        let mut failures = tell::failures(part);
        let lines =
            part.messages.iter().map(|message| human::one_line(&message.replace('\n', " ")));
        failures.extend(lines);
        self.say(&name, &format!("{state} after {elapsed}: {said}"));
        for failure in &failures {
            self.say(&name, failure);
        }
        if let Some(next) = &outcome.next_step {
            self.say(&name, &format!("next: {next}"));
        }
        outcome.message = match failures.first().filter(|_| outcome.exit != Exit::Done) {
            Some(first) => format!("{state}: {first}"),
            None => format!("{state}: {said}"),
        };
        part.messages.iter_mut().for_each(|message| *message = format!("{name}: {message}"));
        part.ignored.dedup();
    }

    /// Keeps how a source ended.
    async fn end_source(
        &mut self,
        part: &Report,
        outcome: &mut SourceReport,
    ) -> Result<(), CommandError> {
        let loads = loads_of(&part.files);
        let (run_id, name) = (self.run_id, outcome.name.clone());
        let connection = self.connection().await?;
        let end = SourceEnd {
            run_id,
            exit_code: outcome.exit.code(),
            succeeded: matches!(outcome.exit, Exit::Done | Exit::Rejects),
            newest_us: ledger::newest(connection, &loads).await?,
        };
        let (success, newest) = ledger::end_source(connection, &name, end).await?;
        let time = |us: Option<i64>| us.and_then(|us| Timestamp::from_microsecond(us).ok());
        (outcome.last_success_at, outcome.newest_at) = (time(success), time(newest));
        let lag = outcome.newest_at.map(|newest| Timestamp::now().duration_since(newest));
        outcome.lag_s = lag.map(|lag| lag.as_secs_f64());
        Ok(())
    }

    async fn try_source(
        &mut self,
        source: &SourceRequest,
        part: &mut Report,
        outcome: &mut SourceReport,
    ) -> Result<(), CommandError> {
        let days = dates::window(self.request.today, source.days);
        let spooler = survey::spooler(&source.load);
        let looked = look(source, &days, &spooler);
        let mut work = AtWork { source, days, looked, kept: Vec::new(), spooler };
        for (path, why) in &work.looked.failed {
            let error = Some(why.clone());
            part.files.push(FileReport { source: path.clone(), error, ..FileReport::default() });
            part.exit = part.exit.worse(Exit::Failed);
        }
        let open = self.what_is_new(&mut work, part, outcome).await?;
        if !open.is_empty() {
            self.load(&mut work, &open, false, part).await?;
            self.went_back(&mut work, &open, part).await?;
        }
        if !self.cancel.is_interrupted() {
            self.compare(&mut work, part, outcome).await?;
        }
        self.restated(part, outcome).await
    }

    /// Which files are new or changed, by position.
    async fn what_is_new(
        &mut self,
        work: &mut AtWork<'_>,
        part: &mut Report,
        outcome: &mut SourceReport,
    ) -> Result<Vec<usize>, CommandError> {
        let mut open: Vec<_> = work.looked.files.iter().map(|file| file.found.clone()).collect();
        let request = request(self.request, work.source, false);
        let spared = memo::spare(&request, &request.access, &mut open).await?;
        work.kept = spared.loads();
        spared.report_ignored(part);
        let names: BTreeSet<&str> = open.iter().map(|file| file.name.as_str()).collect();
        let files = work.looked.files.iter().enumerate();
        let open: Vec<usize> = files
            .filter(|(_, file)| names.contains(file.found.name.as_str()))
            .map(|(at, _)| at)
            .collect();
        let all = work.looked.files.len() as u64;
        outcome.unchanged = all - open.len() as u64;
        let new = human::count(open.len() as u64);
        self.say(
            &work.source.name,
            &format!("{new} of {} new or changed", human::plural(all, "file")),
        );
        Ok(open)
    }

    /// Loads files, by position.
    async fn load(
        &mut self,
        work: &mut AtWork<'_>,
        files: &[usize],
        reload: bool,
        part: &mut Report,
    ) -> Result<(), CommandError> {
        let request = request(self.request, work.source, reload);
        let mut survey = Survey::default();
        for &at in files {
            let found = &work.looked.files[at].found;
            match survey::look(&request, std::slice::from_ref(found), &work.spooler) {
                Ok(one) => survey.extend(one),
                Err(error @ (CommandError::Usage(_) | CommandError::Layout(_))) => {
                    return Err(error);
                }
                Err(error) => survey.failed.push((found.name.clone(), error.to_string())),
            }
            if self.cancel.is_interrupted() {
                break;
            }
        }
        let mut connection = self.take_connection().await?;
        bring_up(&self.database, &mut connection, &domains(&request, &survey)).await?;
        let looked = std::mem::take(&mut survey.files);
        let spill_bytes_max = request.spill_bytes_max.saturating_sub(survey.kept_bytes);
        let planning = plan(&request, survey, &connection).await?;
        self.keep_tables(coverage::subjects(&planning), work);
        let watch = Watch::default();
        let mut report = Report::new(self.run_id.to_string(), COMMAND, Timestamp::now());
        let (database, run_id) = (&self.database, self.run_id);
        let running =
            Running { request: &request, database, run_id, watch: &watch, spill_bytes_max };
        let planned = (&planning, looked.as_slice());
        let carrying = running.carry_out(connection, planned, self.cancel.clone(), &mut report);
        let listener = &mut *self.listener;
        let ended =
            watch.shown(Box::pin(carrying), &mut |now| listener(Event::Progress(now))).await;
        self.cancel.rearm();
        self.connection = Some(ended?);
        part.absorb(report);
        Ok(())
    }

    /// Keeps the tables of a plan for the report's maps, which cover the source's days at least,
    /// where it has any.
    fn keep_tables(&mut self, subjects: coverage::Subjects, work: &AtWork<'_>) {
        let by_day =
            work.source.calendar.is_some() || work.source.paths.iter().any(dates::Pattern::has_day);
        let days = if by_day { work.days.as_slice() } else { &[] };
        let midnight = |day: &Date| {
            let zoned = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(zoned.timestamp().as_second() as f64)
        };
        let first = days.iter().min().and_then(midnight);
        let last = days.iter().max().and_then(midnight);
        for (table, subject) in subjects {
            let kept = self.tables.entry(table).or_insert(subject);
            if let (Some(first), Some(last)) = (first, last) {
                let (from, to) = kept.span_s.unwrap_or((first, last));
                // To the last second of the last day.
                kept.span_s = Some((from.min(first), to.max(last + 86_399.0)));
            }
        }
    }

    /// Loads again what is as it was before the last time: the ledger has it as done, and the table
    /// has what came after it.
    async fn went_back(
        &mut self,
        work: &mut AtWork<'_>,
        open: &[usize],
        part: &mut Report,
    ) -> Result<(), CommandError> {
        let done = part.files.iter().filter(|entry| entry.already_loaded);
        let loads: Vec<i64> = done.filter_map(|entry| entry.load_id).collect();
        if loads.is_empty() || self.cancel.is_interrupted() {
            return Ok(());
        }
        let old = ledger::superseded(self.connection().await?, &loads).await?;
        let is_old = |entry: &FileReport| entry.load_id.is_some_and(|load| old.contains(&load));
        let old: Vec<String> =
            part.files.iter().filter(|entry| is_old(entry)).map(|e| e.source.clone()).collect();
        let has_old = |at: &usize| old.iter().any(|name| work.looked.files[*at].is_in(name));
        let again: Vec<usize> = open.iter().copied().filter(has_old).collect();
        if again.is_empty() {
            return Ok(());
        }
        part.files
            .retain(|entry| !again.iter().any(|&at| work.looked.files[at].is_in(&entry.source)));
        self.load(work, &again, true, part).await
    }

    /// What files that were rewritten in place changed.
    async fn restated(
        &mut self,
        part: &Report,
        outcome: &mut SourceReport,
    ) -> Result<(), CommandError> {
        let fresh = part.files.iter().filter(|file| !file.already_loaded);
        let loads: Vec<i64> = fresh.clone().filter_map(|file| file.load_id).collect();
        if loads.is_empty() {
            return Ok(());
        }
        let rewritten = ledger::rewritten(self.connection().await?, &loads).await?;
        for file in fresh.filter(|file| file.load_id.is_some_and(|id| rewritten.contains(&id))) {
            outcome.restated.push(Restated {
                source: file.source.clone(),
                inserted: file.counts.inserted,
                updated: file.counts.updated,
                conflicting: file.counts.conflicting,
                unchanged: file.counts.duplicate - file.counts.conflicting,
            });
        }
        Ok(())
    }

    /// Compares the table with the calendar and with what the source counts itself. Files of short
    /// days are loaded again, once.
    async fn compare(
        &mut self,
        work: &mut AtWork<'_>,
        part: &mut Report,
        outcome: &mut SourceReport,
    ) -> Result<(), CommandError> {
        self.missing_days(work, part, outcome).await?;
        let expected = manifest::read(work.source, &work.days, &work.spooler)?;
        let Some((day, _)) = expected.keys().next() else { return Ok(()) };
        let first = day.to_string();
        let loads: Vec<i64> = work.kept.iter().copied().chain(loads_of(&part.files)).collect();
        let Some(counting) = self.counting(work.source, &loads).await? else {
            outcome.short_days.extend(expected.iter().map(|((day, ticker), &expected)| ShortDay {
                day: day.to_string(),
                ticker: ticker.clone(),
                expected,
                found: 0,
                reloaded: false,
            }));
            let why =
                format!("nothing is loaded yet, and the manifest has records from {first} on");
            part.messages.push(why);
            return Ok(());
        };
        let short = self.short_days(&counting, &work.days, &expected).await?;
        let known = known_short(self.connection().await?, &work.source.name).await?;
        let fresh: Short =
            short.clone().into_iter().filter(|(of, n)| known.get(of) != Some(n)).collect();
        let files = self.files_of(work, &fresh, &loads).await?;
        let mut left = short;
        if !files.is_empty() {
            let days: BTreeSet<String> = fresh.keys().map(|(day, _)| day.to_string()).collect();
            let days: Vec<String> = days.into_iter().collect();
            let said = format!(
                "{} short of what the source counts: {} loaded again",
                human::plural(days.len() as u64, "day"),
                human::plural(files.len() as u64, "file")
            );
            self.say(&work.source.name, &said);
            self.load(work, &files, true, part).await?;
            left = self.short_days(&counting, &work.days, &expected).await?;
        }
        outcome.full_days = (expected.len() - left.len()) as u64;
        for ((day, ticker), (expected, found)) in &left {
            outcome.short_days.push(ShortDay {
                day: day.to_string(),
                ticker: ticker.clone(),
                expected: *expected,
                found: *found,
                reloaded: !files.is_empty() && fresh.contains_key(&(*day, ticker.clone())),
            });
        }
        let run_id = self.run_id;
        keep_short(self.connection().await?, &work.source.name, run_id, &left).await
    }

    async fn counting(
        &mut self,
        source: &SourceRequest,
        loads: &[i64],
    ) -> Result<Option<Counting>, CommandError> {
        let connection = self.connection().await?;
        match dataset_of(connection, source, loads).await? {
            Some(dataset) => Counting::of(connection, source, dataset).await,
            None => Ok(None),
        }
    }

    /// Days of which the table has fewer records than the source counts, those aside of which
    /// retention dropped something.
    async fn short_days(
        &mut self,
        counting: &Counting,
        days: &[Date],
        expected: &manifest::Totals,
    ) -> Result<Short, CommandError> {
        let by_ticker = expected.keys().any(|(_, ticker)| ticker.is_some());
        let connection = self.connection().await?;
        let found = counting.by_day(connection, days, by_ticker).await?;
        let dropped = counting.dropped(connection, days).await?;
        let mut short = Short::new();
        for (of, &expected) in expected {
            let found = found.get(of).copied().unwrap_or(0);
            if found < expected && !dropped.contains(&of.0) {
                short.insert(of.clone(), (expected, found));
            }
        }
        Ok(short)
    }

    /// Files that may have records of some days.
    async fn files_of(
        &mut self,
        work: &AtWork<'_>,
        short: &Short,
        loads: &[i64],
    ) -> Result<Vec<usize>, CommandError> {
        let days: BTreeSet<Date> = short.keys().map(|(day, _)| *day).collect();
        let mut files = BTreeSet::new();
        for day in days {
            let dated = work.looked.files.iter().enumerate().filter(|(_, f)| f.day == Some(day));
            files.extend(dated.map(|(at, _)| at));
            let undated = work.looked.files.iter().any(|file| file.day.is_none());
            if undated {
                let names = covering(self.connection().await?, loads, day).await?;
                let has = |file: &Sighted| names.iter().any(|name| file.is_in(name));
                let undated = work.looked.files.iter().enumerate();
                let undated = undated.filter(|(_, file)| file.day.is_none() && has(file));
                files.extend(undated.map(|(at, _)| at));
            }
        }
        Ok(files.into_iter().collect())
    }

    /// Days that the calendar has and of which there is nothing: no file, where paths have days in
    /// them, else no row.
    async fn missing_days(
        &mut self,
        work: &AtWork<'_>,
        part: &Report,
        outcome: &mut SourceReport,
    ) -> Result<(), CommandError> {
        let Some(calendar) = &work.source.calendar else { return Ok(()) };
        let is_trading = crate::command::gaps::trading_days(calendar)?;
        let today = self.request.today;
        // Today may still come.
        let over: Vec<Date> =
            work.days.iter().copied().filter(|day| *day < today && is_trading(*day)).collect();
        let dated = work.source.paths.iter().any(super::Pattern::has_day);
        let missing: Vec<Date> = if dated {
            let absent = |day: &Date| work.looked.absent.get(day);
            let paths: Vec<&str> =
                over.iter().filter_map(absent).flatten().map(String::as_str).collect();
            let known = ledger::ever_loaded(self.connection().await?, &paths).await?;
            // A file that was loaded and then taken away is not missing.
            let is_missing = |day: &Date| {
                absent(day).is_some_and(|paths| !paths.iter().any(|path| known.contains(path)))
            };
            over.into_iter().filter(is_missing).collect()
        } else {
            let loads: Vec<i64> = work.kept.iter().copied().chain(loads_of(&part.files)).collect();
            let Some(counting) = self.counting(work.source, &loads).await? else { return Ok(()) };
            let connection = self.connection().await?;
            let found = counting.by_day(connection, &over, false).await?;
            let dropped = counting.dropped(connection, &over).await?;
            let is_missing =
                |day: &Date| !found.contains_key(&(*day, None)) && !dropped.contains(day);
            over.into_iter().filter(is_missing).collect()
        };
        outcome.missing_days = missing.iter().map(Date::to_string).collect();
        Ok(())
    }
}

/// The loads of a report's files.
fn loads_of(files: &[FileReport]) -> Vec<i64> {
    files.iter().filter_map(|file| file.load_id).collect()
}

/// How files of a source are loaded.
fn request(night: &NightlyRequest, source: &SourceRequest, reload: bool) -> LoadRequest {
    LoadRequest {
        access: night.access.clone(),
        reload,
        arguments: night.arguments.clone(),
        ..source.load.clone()
    }
}
