//! Completes a layout that fits with what the file's bytes do not say: its facts and its zone.

use super::error::RecogniseError;
use super::facts::{self, Found};
use super::fit::{Fit, FitField};
use super::model::{Format, Layout, Stamp};
use super::recognise::{Facts, GivenFacts, Recognised, RecognisedField};
use super::times;
use crate::mapping::{FieldSource, Quirks, TimeFormat, TimeRule, Zone};

/// Adds what the bytes do not say. `name` is the file's.
pub(super) fn finish(
    name: &str,
    given: &GivenFacts,
    layout: &Layout,
    fit: Fit,
) -> Result<Recognised, RecogniseError> {
    let title = if layout.title.is_empty() { &layout.name } else { &layout.title };
    let mut outside = Outside { name, given, layout, fit: &fit, why: Vec::new() };
    outside.why.push(format!("layout {}: {title}", layout.name));
    outside.why.extend(fit.why.iter().cloned());
    let zone = outside.zone()?;
    let date = outside.date()?;
    let name_of_zone = zone.name();
    let mut facts =
        Facts { symbol: None, interval: None, venue: None, zone: name_of_zone, date: date.clone() };
    let (mut fields, mut missing) = (Vec::new(), Vec::new());
    for column in layout.dataset.columns {
        if let Some(field) = own(&fit, given, column.name)? {
            if column.fact {
                outside.not_used(column.name)?;
            }
            let time = field
                .time
                .clone()
                .map(|format| TimeRule::new(dated(format, date.as_deref()), zone.clone()));
            fields.push(RecognisedField {
                column: column.name.to_owned(),
                source: field.source.clone(),
                rewrite: field.rewrite.clone(),
                time,
            });
        } else if !column.fact && !layout.facts.tell(column.name) {
            continue;
        } else if let Some(value) = outside.find(column.name)? {
            match column.name {
                "symbol" => facts.symbol = Some(value.clone()),
                "interval" => facts.interval = Some(value.clone()),
                _ => {}
            }
            fields.push(RecognisedField {
                column: column.name.to_owned(),
                source: FieldSource::Constant(value),
                rewrite: None,
                time: None,
            });
        } else if column.required {
            missing.push(column.name);
        }
    }
    if !missing.is_empty() {
        return Err(nothing_says(name, layout, missing));
    }
    outside.days_fit(facts.interval.as_deref())?;
    outside.put_back(&mut fields, facts.interval.as_deref())?;
    facts.venue = outside.find("venue")?;
    Ok(Recognised {
        layout: layout.name.clone(),
        version: layout.version,
        dataset: layout.dataset.name.to_owned(),
        fields,
        nulls: nulls(layout),
        facts,
        why: outside.why,
        quirks: Quirks { sieve: fit.sieve, ..layout.quirks.clone() },
        also: Vec::new(),
        shape: fit.shape,
        json: fit.json,
        other_fields: fit.others,
    })
}

/// What means "nothing" in a file with types; the shapes of others have it.
fn nulls(layout: &Layout) -> Vec<Vec<u8>> {
    match layout.format {
        Format::Parquet => layout.text.nulls.iter().map(|null| null.clone().into()).collect(),
        Format::Text | Format::Json => Vec::new(),
    }
}

/// The field of a column, unless a flag wins over it.
fn own<'a>(
    fit: &'a Fit,
    given: &GivenFacts,
    column: &str,
) -> Result<Option<&'a FitField>, RecogniseError> {
    let own = fit.fields.iter().find(|field| field.column.name == column);
    Ok(match own {
        Some(field) if field.yields && facts::given(given, column)?.is_some() => None,
        own => own,
    })
}

/// Everything that can say a fact, and what was found so far.
struct Outside<'a> {
    name: &'a str,
    given: &'a GivenFacts,
    layout: &'a Layout,
    fit: &'a Fit,
    why: Vec<String>,
}

impl Outside<'_> {
    /// A fact, from the first that says it: flags, the form of the file's times, the lines before
    /// its records, the name, the layout. Without a flag, times and name must not contradict each
    /// other.
    fn find(&mut self, fact: &'static str) -> Result<Option<String>, RecogniseError> {
        let told = self.fit.interval.clone().filter(|_| fact == "interval");
        let told =
            told.map(|value| Found { value, from: "from how its times are written".to_owned() });
        let lines = facts::from_lines(self.layout, fact, &self.fit.head);
        let keys = facts::from_keys(self.layout, fact, &self.fit.around);
        let named = facts::from_name(self.layout, fact, self.name);
        let given = facts::given(self.given, fact)?;
        if given.is_none()
            && let (Some(told), Some(named)) = (&told, &named)
            && told.value != named.value
        {
            return Err(RecogniseError::Contradiction {
                name: self.name.to_owned(),
                layout: self.layout.name.clone(),
                says: format!(
                    "the {fact} is {} by how its times are written, and {} by its name",
                    told.value, named.value
                ),
                flag: facts::flag(fact),
            });
        }
        let spaced = self.spaced().filter(|_| fact == "interval");
        let constant = facts::constant(self.layout, fact);
        let says = [given, told, lines, keys, named, spaced, constant];
        let says: Vec<Found> = says.into_iter().flatten().collect();
        let Some(first) = says.first() else { return Ok(None) };
        self.why.push(format!("{fact} {} {}", first.value, first.from));
        if let Some(other) = says.iter().find(|other| other.value != first.value) {
            self.why.push(format!("{fact} {} {} is not used", other.value, other.from));
        }
        Ok(Some(first.value.clone()))
    }

    /// The interval that lies between the first records, if the layout takes it for the bars'.
    fn spaced(&self) -> Option<Found> {
        let asked = self.layout.facts.rules.get("interval").is_some_and(|rule| rule.spacing);
        let value = self.fit.step.interval.clone().filter(|_| asked)?;
        Some(Found { value, from: "from the time between its first records".to_owned() })
    }

    /// A flag for a fact that the file has as a column is checked, but has no effect.
    fn not_used(&mut self, fact: &str) -> Result<(), RecogniseError> {
        if let Some(found) = facts::given(self.given, fact)? {
            let flag = facts::flag(fact);
            let value = found.value;
            self.why.push(format!("{flag} {value} is not used: the file has a column for it"));
        }
        Ok(())
    }

    /// The day from whose midnight times count, where they do.
    fn date(&mut self) -> Result<Option<String>, RecogniseError> {
        let counts = |field: &FitField| matches!(field.time, Some(TimeFormat::MillisOfDay(_)));
        if !self.fit.fields.iter().any(counts) {
            if facts::given(self.given, "date")?.is_some() {
                self.why.push("--date is not used: the file's times have their days".to_owned());
            }
            return Ok(None);
        }
        match self.find("date")? {
            Some(date) => Ok(Some(date)),
            None => Err(nothing_says(self.name, self.layout, vec!["date"])),
        }
    }

    /// Refuses days alone as the times of bars of less than a day, several of which a day has.
    fn days_fit(&self, interval: Option<&str>) -> Result<(), RecogniseError> {
        let Some(day) = &self.fit.doubts.day_twice else { return Ok(()) };
        let Some(interval) =
            interval.filter(|interval| clock_length(interval, Stamp::Start).is_some())
        else {
            return Ok(());
        };
        let others: Vec<&str> = self.fit.others.iter().map(|(name, _)| name.as_str()).collect();
        let unread = match others.is_empty() {
            true => String::new(),
            false => format!(" (not read: {})", others.join(", ")),
        };
        Err(RecogniseError::Contradiction {
            name: self.name.to_owned(),
            layout: self.layout.name.clone(),
            says: format!(
                "bars of {interval} have times that are days alone, and several the same \
                 ({day}): their times of day stand in another field{unread}, which must be joined \
                 to the day before, or they are bars of days"
            ),
            flag: "--interval",
        })
    }

    /// Puts times of a bar's end back to its start.
    fn put_back(
        &mut self,
        fields: &mut [RecognisedField],
        interval: Option<&str>,
    ) -> Result<(), RecogniseError> {
        for own in self.fit.fields.iter().filter(|field| field.stamp != Stamp::Start) {
            let before_us = self.length(interval, own.stamp)?;
            let rules = fields.iter_mut().filter(|field| field.column == own.column.name);
            for rule in rules.filter_map(|field| field.time.as_mut()) {
                rule.before_us = before_us;
            }
        }
        Ok(())
    }

    /// How long a bar is whose end its time tells, in microseconds.
    fn length(&mut self, interval: Option<&str>, stamp: Stamp) -> Result<i64, RecogniseError> {
        let shown = interval.unwrap_or("an interval that its records tell");
        let Some(length) = interval.and_then(|interval| clock_length(interval, stamp)) else {
            return Err(RecogniseError::Refused {
                name: self.name.to_owned(),
                what: self.layout.title.clone(),
                why: format!(
                    "its times are those of a bar's end, and when a bar of {shown} began is not \
                     known: only bars of seconds, minutes and hours are loaded"
                ),
                first_line: String::new(),
            });
        };
        self.why.push(format!("times are those of a bar's end, and are put {shown} back"));
        Ok(length)
    }

    /// The zone of times without an offset: `--tz`, else that of their form, else the layout's.
    fn zone(&mut self) -> Result<Zone, RecogniseError> {
        let asked = self.given.zone.as_deref().map(|text| {
            Zone::parse(text).map_err(|reason| RecogniseError::BadFact {
                flag: "--tz",
                value: text.to_owned(),
                reason,
            })
        });
        let asked = asked.transpose()?;
        if !self.fit.fields.iter().any(needs_zone) {
            if asked.is_some() {
                let why = "--tz is not used: every time in the file tells its own zone";
                self.why.push(why.to_owned());
            }
            return Ok(Zone::UTC);
        }
        let from = if asked.is_some() { "from --tz" } else { "of the layout" };
        let mut own = self.fit.fields.iter().filter(|field| needs_zone(field));
        let own = own.find_map(|field| field.zone.clone());
        if let (None, Some(field)) = (&asked, &self.fit.doubts.zone_field) {
            return Err(RecogniseError::Contradiction {
                name: self.name.to_owned(),
                layout: self.layout.name.clone(),
                says: format!(
                    "its times have no offset, and their zones stand in the field {field}, which \
                     is not read"
                ),
                flag: "--tz ZONE",
            });
        }
        let known = asked.or(own).or_else(|| self.layout.facts.zone.clone());
        let zone = known.ok_or_else(|| nothing_says(self.name, self.layout, vec!["zone"]))?;
        self.why.push(format!("times without an offset are in {}, {from}", zone.name()));
        Ok(zone)
    }
}

/// How long an interval is that the clock measures, in microseconds; days and longer ones are
/// measured by calendars, unless they are those of UTC.
fn clock_length(interval: &str, stamp: Stamp) -> Option<i64> {
    let (count, unit) = interval.split_at_checked(interval.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" if stamp == Stamp::UtcEnd => 86_400,
        "w" if stamp == Stamp::UtcEnd => 604_800,
        _ => return None,
    };
    count.parse::<i64>().ok()?.checked_mul(seconds * 1_000_000)
}

/// The form of times, with the day from which they count.
fn dated(format: TimeFormat, date: Option<&str>) -> TimeFormat {
    match format {
        TimeFormat::MillisOfDay(_) => TimeFormat::MillisOfDay(date.and_then(facts::days_of)),
        other => other,
    }
}

fn needs_zone(field: &FitField) -> bool {
    !field.zoned && field.time.as_ref().is_some_and(times::needs_zone)
}

fn nothing_says(name: &str, layout: &Layout, missing: Vec<&'static str>) -> RecogniseError {
    let flags: Vec<&'static str> = missing.iter().map(|fact| facts::flag(fact)).collect();
    let example = |fact: &&str| match *fact {
        "interval" => "--interval 1h".to_owned(),
        "date" => "--date 2024-01-31".to_owned(),
        "zone" => "--tz Europe/Athens".to_owned(),
        fact => format!("{} BTCUSDT", facts::flag(fact)),
    };
    let said: Vec<String> = missing.iter().map(example).collect();
    let mut advice = format!("say it with {}", said.join(" "));
    let named = missing.iter().any(|fact| *fact != "zone");
    if let Some(like) = layout.facts.example.as_ref().filter(|_| named) {
        advice.push_str(&format!(", or give the file a name like {like}"));
    }
    RecogniseError::MissingFact {
        name: name.to_owned(),
        layout: layout.name.clone(),
        facts: missing,
        flags,
        advice,
    }
}
