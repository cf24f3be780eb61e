//! `gaps`: bars that should be in the database and are not, by ticker, interval and the sessions
//! of a market. Reads only. A gap is no failure: the command ends well whatever it finds.

mod calendar;
mod read;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Access, Answer, CommandError};
use crate::db::Connection;
use crate::error::Exit;
use crate::limit::{GAPS_KEPT_MAX, GAPS_PAGE_ROWS, GAPS_SHOWN_MAX};
use crate::report::human;
use crate::report::list::{Cell, Grid};

use calendar::{Between, Calendar, Missing, Step};
use read::{Extent, Ticker};

/// What to look for.
#[derive(Debug, Clone)]
pub struct GapsRequest {
    /// Which database.
    pub access: Access,
    /// Only this symbol, at whatever venue.
    pub ticker: Option<String>,
    /// Only this interval.
    pub interval: Option<String>,
    /// Bars from here on, in microseconds from 1970; those missing before the first count too.
    pub from_us: Option<i64>,
    /// Bars before this; those missing after the last count too.
    pub to_us: Option<i64>,
    /// `24x7`, `weekdays`, `nyse`, `forex` or a TOML file; by the data themselves if not given.
    pub calendar: Option<String>,
}

/// One series and what it lacks.
#[derive(Debug)]
struct Series {
    ticker: Ticker,
    interval: String,
    calendar: String,
    extent: Extent,
    missing: u64,
    gaps: u64,
    /// The first of its gaps.
    kept: Vec<Missing>,
}

/// Looks for gaps.
///
/// # Errors
/// A calendar that is none, and the database's.
pub async fn run(request: &GapsRequest) -> Result<Answer, CommandError> {
    let calendars = Calendars::new(request.calendar.as_deref())?;
    let (_, connection) = request.access.connect().await?;
    if !read::has_tables(&connection).await? {
        return Ok(nothing(
            "this database has no market_data: `tidegate backfill PATH` loads bars",
        ));
    }
    let mut found = Vec::new();
    let mut unreadable = Vec::new();
    let (mut after, mut tickers) = (i32::MIN, 0_u64);
    loop {
        let page = read::tickers(&connection, after, request.ticker.as_deref()).await?;
        for ticker in &page {
            let looking = Looking { db: &connection, request, calendars: &calendars, ticker };
            looking.all_intervals(&mut found, &mut unreadable).await?;
        }
        tickers += page.len() as u64;
        match page.last() {
            Some(last) if page.len() == GAPS_PAGE_ROWS => after = last.id,
            _ => break,
        }
    }
    if let (Some(symbol), 0) = (&request.ticker, tickers) {
        return Err(CommandError::Refused(format!("there is no ticker {symbol}")));
    }
    if found.is_empty() && unreadable.is_empty() {
        return Ok(nothing("there are no bars of this kind in this range"));
    }
    Ok(answer(&found, &unreadable))
}

/// Which days a market has: the calendar called so, or the one in this file.
///
/// # Errors
/// No such calendar, and what is wrong with a file.
pub(super) fn trading_days(calendar: &str) -> Result<impl Fn(Date) -> bool, CommandError> {
    let calendar = Calendar::named(calendar)?;
    Ok(move |day| calendar.is_trading_day(day))
}

fn nothing(why: &str) -> Answer {
    let json = Some(json!({ "series": [], "missing": 0 }));
    Answer { json, ..Answer::message(why) }
}

/// The calendar that was asked for, or those that are chosen from.
struct Calendars {
    asked: Option<Calendar>,
    always: Calendar,
    weekdays: Calendar,
}

impl Calendars {
    fn new(asked: Option<&str>) -> Result<Self, CommandError> {
        Ok(Self {
            asked: asked.map(Calendar::named).transpose()?,
            always: Calendar::named("24x7")?,
            weekdays: Calendar::named("weekdays")?,
        })
    }

    fn of(&self, extent: &Extent) -> &Calendar {
        let own = if extent.weekends { &self.always } else { &self.weekdays };
        self.asked.as_ref().unwrap_or(own)
    }
}

struct Looking<'a> {
    db: &'a Connection,
    request: &'a GapsRequest,
    calendars: &'a Calendars,
    ticker: &'a Ticker,
}

impl Looking<'_> {
    async fn all_intervals(
        &self,
        found: &mut Vec<Series>,
        unreadable: &mut Vec<String>,
    ) -> Result<(), CommandError> {
        if let Some(interval) = &self.request.interval {
            return self.one_interval(interval, found, unreadable).await;
        }
        let mut interval = String::new();
        while let Some(next) = read::next_interval(self.db, self.ticker.id, &interval).await? {
            self.one_interval(&next, found, unreadable).await?;
            interval = next;
        }
        Ok(())
    }

    async fn one_interval(
        &self,
        interval: &str,
        found: &mut Vec<Series>,
        unreadable: &mut Vec<String>,
    ) -> Result<(), CommandError> {
        let (series, range) =
            ((self.ticker.id, interval), (self.request.from_us, self.request.to_us));
        let Some(extent) = read::extent(self.db, series, range).await? else { return Ok(()) };
        let Some(step) = Step::parse(interval) else {
            unreadable.push(format!("{} {interval}", self.ticker.symbol));
            return Ok(());
        };
        let calendar = self.calendars.of(&extent);
        let mut one = Series {
            ticker: self.ticker.clone(),
            interval: interval.to_owned(),
            calendar: calendar.name.clone(),
            extent,
            missing: 0,
            gaps: 0,
            kept: Vec::new(),
        };
        if let Some(from) = self.request.from_us {
            let between = Between { after: from - 1, before: extent.first_us, bars: (false, true) };
            one.add(calendar.missing(step, extent.first_us, between));
        }
        self.between_bars(series, step, calendar, &mut one).await?;
        if let Some(to) = self.request.to_us {
            let between = Between { after: extent.last_us, before: to, bars: (true, false) };
            one.add(calendar.missing(step, extent.last_us, between));
        }
        found.push(one);
        Ok(())
    }

    async fn between_bars(
        &self,
        series: (i32, &str),
        step: Step,
        calendar: &Calendar,
        one: &mut Series,
    ) -> Result<(), CommandError> {
        let mut from = one.extent.first_us;
        loop {
            let range = (from, self.request.to_us);
            let page = read::far_apart(self.db, series, range, step.least_us()).await?;
            for &(before, ts) in &page {
                one.add(calendar.missing(step, before, Between::bars(before, ts)));
            }
            match page.last() {
                Some(&(_, last)) if page.len() == GAPS_PAGE_ROWS => from = last,
                _ => return Ok(()),
            }
        }
    }
}

impl Series {
    fn add(&mut self, missing: Missing) {
        if missing.count == 0 {
            return;
        }
        self.missing += missing.count;
        self.gaps += 1;
        if self.kept.len() < GAPS_KEPT_MAX {
            self.kept.push(missing);
        }
    }

    fn expected(&self) -> u64 {
        self.extent.bars + self.missing
    }

    fn json(&self) -> Value {
        let gaps = self.kept.iter().map(|gap| {
            json!({
                "from": instant(gap.first_us), "to": instant(gap.last_us), "missing": gap.count
            })
        });
        json!({
            "symbol": self.ticker.symbol, "venue": self.ticker.venue, "interval": self.interval,
            "calendar": self.calendar, "bars": self.extent.bars,
            "first": instant(self.extent.first_us), "last": instant(self.extent.last_us),
            "gaps": self.gaps, "missing": self.missing,
            "list": gaps.collect::<Vec<_>>(),
        })
    }
}

fn instant(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| us.to_string(), |ts| ts.to_string())
}

fn answer(found: &[Series], unreadable: &[String]) -> Answer {
    let missing: u64 = found.iter().map(|series| series.missing).sum();
    let headers =
        ["symbol", "venue", "interval", "calendar", "bars", "first", "last", "gaps", "missing"];
    let mut grid = Grid::new(headers).right(&[4, 7, 8]);
    for series in found {
        grid.push([
            Cell::from(series.ticker.symbol.as_str()),
            Cell::from(series.ticker.venue.as_str()),
            Cell::from(series.interval.as_str()),
            Cell::from(series.calendar.as_str()),
            Cell::from(series.extent.bars),
            Cell::from(instant(series.extent.first_us)),
            Cell::from(instant(series.extent.last_us)),
            Cell::from(series.gaps),
            Cell::from(series.missing),
        ]);
    }
    let expected: u64 = found.iter().map(Series::expected).sum();
    let mut messages = vec![match missing {
        0 => format!("no bar is missing of {}", human::count(expected)),
        missing => format!(
            "{} of {} expected are missing",
            human::plural(missing, "bar"),
            human::count(expected)
        ),
    }];
    if !unreadable.is_empty() {
        let names = unreadable.iter().take(5).map(|name| human::one_line(name));
        messages.push(format!(
            "left out, for their intervals have no length: {}{}",
            names.collect::<Vec<_>>().join(", "),
            if unreadable.len() > 5 { ", ..." } else { "" }
        ));
    }
    let json = json!({
        "missing": missing, "expected": expected,
        "series": found.iter().map(Series::json).collect::<Vec<_>>(), "left_out": unreadable,
    });
    let text = longest(found);
    Answer { exit: Exit::Done, grid: Some(grid), json: Some(json), text, messages }
}

/// The gaps with most bars, for people.
fn longest(found: &[Series]) -> Option<String> {
    let mut gaps: Vec<(&Series, &Missing)> =
        found.iter().flat_map(|series| series.kept.iter().map(move |gap| (series, gap))).collect();
    gaps.sort_by_key(|(_, gap)| (std::cmp::Reverse(gap.count), gap.first_us));
    if gaps.is_empty() {
        return None;
    }
    let shown = gaps.len().min(GAPS_SHOWN_MAX);
    let total: u64 = found.iter().map(|series| series.gaps).sum();
    let mut grid = Grid::new(["symbol", "interval", "from", "to", "missing"]).right(&[4]);
    for (series, gap) in &gaps[..shown] {
        grid.push([
            Cell::from(series.ticker.symbol.as_str()),
            Cell::from(series.interval.as_str()),
            Cell::from(instant(gap.first_us)),
            Cell::from(instant(gap.last_us)),
            Cell::from(gap.count),
        ]);
    }
    let title = match shown as u64 == total {
        true => "Gaps".to_owned(),
        false => format!("The {shown} longest of {} gaps", human::count(total)),
    };
    Some(format!("\n{title}\n{}", grid.render(0, false)))
}
