//! Files in the layout of a vendor: a layout read backwards. What it says of columns, units, zones
//! and names is written instead of read; what it leaves open (a field that nothing loads) is filled
//! with something that it accepts. The first file is read again by recognition and decoder, and
//! must say what was meant: a layout that cannot be written so is refused, with the reason.

mod name;
mod time;

use arrow::array::Array;

use crate::command::inspect::mapping;
use crate::command::inspect::read::{Input, text};
use crate::dataset::Column;
use crate::generate::text::number;
use crate::generate::{Records, Values, batch};
use crate::layout::{
    ColumnRule, Format, GivenFacts, HeaderRule, Layout, Sample, SampleHead, Stamp, Way, WaySource,
    recognise, registry,
};
use crate::mapping::{Rewrite, TimeFormat, Zone};

pub(super) use name::FileOf;

/// Records that are read again of the first file.
const CHECKED_ROWS: usize = 200;
/// What fills a field that nothing loads, where the layout says what it looks like: the first that
/// does.
const FILLERS: [&str; 8] =
    ["0", "1", "true", "True", "1700000000000", "2024-01-02", "A", "1700000000"];

/// A layout read backwards.
#[derive(Debug)]
pub(super) struct Inverse {
    layout: Layout,
    /// The line of names, if there is one.
    header: Option<String>,
    delimiter: u8,
    fields: Vec<Fed>,
    /// Columns that the fields tell.
    told: Vec<&'static str>,
    /// Ending of the files' names where the layout does not care.
    interval: Option<String>,
}

/// What a field is written from.
#[derive(Debug, Clone)]
enum Fed {
    /// The same in every record.
    Same(String),
    /// A column.
    From(&'static str, Spelled),
}

/// How a column is spelled.
#[derive(Debug, Clone)]
enum Spelled {
    Plain,
    /// Times ten to the power of `scale`, with a comma before the fraction or a point.
    Number {
        scale: i8,
        comma: bool,
    },
    /// Words of ours with theirs.
    Words(Vec<(String, String)>),
    Time(TimeFormat, Zone),
}

impl Inverse {
    /// Reads a layout backwards. `interval` is that of the bars, if they are bars; `sample` has
    /// some of the records.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn of(layout: &Layout, interval: Option<&str>, sample: &Records) -> Result<Self, String> {
        let why = match layout {
            Layout { refuse: Some(why), .. } => Some(why.clone()),
            Layout { format: Format::Json | Format::Parquet, .. } => {
                Some("only layouts of text are written".to_owned())
            }
            Layout { sieve: Some(_), .. } => {
                Some("its files hold the records of two datasets".to_owned())
            }
            Layout { also, .. } if !also.is_empty() => {
                Some("its files hold the records of two datasets".to_owned())
            }
            Layout { text, .. } if !text.below.is_empty() => {
                Some("there are lines between its header and its records".to_owned())
            }
            Layout { facts, .. } if facts.zone.is_none() => {
                Some("its times are of a clock that only the user knows".to_owned())
            }
            _ => None,
        };
        if let Some(why) = why {
            return Err(why);
        }
        let mut inverse = Self {
            header: None,
            delimiter: layout.text.delimiters.first().copied().unwrap_or(b','),
            fields: Vec::new(),
            told: Vec::new(),
            interval: interval.map(str::to_owned),
            layout: layout.clone(),
        };
        match layout.text.header {
            HeaderRule::Required => inverse.by_name()?,
            HeaderRule::None | HeaderRule::Optional | HeaderRule::Positional => {
                inverse.by_position(sample)?;
            }
        }
        for column in layout.dataset.columns {
            if column.required && !inverse.tells(column.name) && !layout.facts.tell(column.name) {
                return Err(format!("nothing in it tells {}", column.name));
            }
        }
        Ok(inverse)
    }

    /// Whether the records tell a column.
    pub fn tells(&self, column: &str) -> bool {
        self.told.contains(&column)
    }

    /// The ways of a column that suit, the plain ones first.
    fn ways<'a>(&self, rule: &'a ColumnRule) -> Vec<&'a Way> {
        let suits = |way: &&Way| match (&way.interval, &self.interval) {
            (Some(of), Some(ours)) => of == ours,
            _ => true,
        };
        let mut ways: Vec<&Way> = rule.ways.iter().filter(suits).collect();
        ways.sort_by_key(|way| way.rewrite.is_some());
        ways
    }

    /// Without names: fields by position.
    fn by_position(&mut self, sample: &Records) -> Result<(), String> {
        let layout = self.layout.clone();
        let at = |way: &Way| match &way.source {
            WaySource::At(at) => Some((*at, *at)),
            WaySource::JoinAt(first, second) => Some((*first, *second)),
            _ => None,
        };
        let chosen: Vec<_> = layout
            .columns
            .iter()
            .filter_map(|rule| {
                self.ways(rule).into_iter().find_map(|way| Some((rule, way, at(way)?)))
            })
            .collect();
        let needed = chosen
            .iter()
            .filter(|(rule, ..)| rule.column.required || has_values(sample, rule.column.name))
            .map(|(_, _, (first, second))| first.max(second) + 1)
            .max()
            .unwrap_or(0);
        let known = layout.recognise.headers.iter().map(Vec::len);
        let counts = layout.recognise.fields.iter().copied().chain(known);
        let count = counts.filter(|count| *count >= needed).min().unwrap_or(needed);
        let chosen: Vec<_> = chosen
            .into_iter()
            .filter(|(_, _, (first, second))| first.max(second) < &count)
            .collect();
        let mut fields: Vec<Option<Fed>> = vec![None; count];
        for (rule, way, (first, second)) in chosen {
            let (before, after) = spelled(&layout, rule.column, way, first != second)?;
            fields[first] = Some(Fed::From(rule.column.name, before));
            if let Some(after) = after {
                fields[second] = Some(Fed::From(rule.column.name, after));
            }
            self.told.push(rule.column.name);
        }
        if layout.text.header == HeaderRule::Positional {
            let of_length = layout.recognise.headers.iter().find(|names| names.len() == count);
            let names = of_length.ok_or("its header has other fields than its records")?;
            self.header = Some(names.join(&char::from(self.delimiter).to_string()));
        }
        for (at, field) in fields.into_iter().enumerate() {
            let filled = field.map_or_else(|| filler(&layout, at).map(Fed::Same), Ok)?;
            self.fields.push(filled);
        }
        Ok(())
    }

    /// With names: the fields of a known header, or those that the columns go by.
    fn by_name(&mut self) -> Result<(), String> {
        let layout = self.layout.clone();
        let mut names: Vec<String> = layout.recognise.headers.first().cloned().unwrap_or_default();
        let exact = !names.is_empty();
        let mut fed: Vec<(String, Fed)> = Vec::new();
        for rule in &layout.columns {
            for way in self.ways(rule) {
                let (first, second) = match &way.source {
                    WaySource::Names(all) => {
                        let there = all.iter().find(|name| position(&names, name).is_some());
                        let free = all.first().filter(|_| !exact);
                        let Some(name) = there.or(free) else { continue };
                        (name.clone(), None)
                    }
                    WaySource::Aliases if !exact => (rule.column.name.to_owned(), None),
                    WaySource::JoinNames(first, second) => (first.clone(), Some(second.clone())),
                    _ => continue,
                };
                if fed.iter().any(|(name, _)| name.eq_ignore_ascii_case(&first)) {
                    continue;
                }
                let Ok((before, after)) = spelled(&layout, rule.column, way, second.is_some())
                else {
                    continue;
                };
                for name in [Some(&first), second.as_ref()].into_iter().flatten() {
                    if position(&names, name).is_none() {
                        names.push(name.clone());
                    }
                }
                fed.push((first, Fed::From(rule.column.name, before)));
                if let Some((second, after)) = second.zip(after) {
                    fed.push((second, Fed::From(rule.column.name, after)));
                }
                self.told.push(rule.column.name);
                break;
            }
        }
        for group in &layout.recognise.has {
            if !group.iter().any(|name| position(&names, name).is_some()) {
                names.extend(group.first().cloned());
            }
        }
        let lacks = &layout.recognise.lacks;
        if let Some(name) = names.iter().find(|name| position(lacks, name).is_some()) {
            return Err(format!("its header must not have {name}"));
        }
        for (at, name) in names.iter().enumerate() {
            let known = fed.iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
            self.fields.push(match known {
                Some((_, fed)) => fed.clone(),
                None => Fed::Same(filler(&layout, at)?),
            });
        }
        self.header = Some(names.join(&char::from(self.delimiter).to_string()));
        Ok(())
    }

    /// Records as the bytes of a file.
    ///
    /// # Errors
    /// What cannot be written so.
    pub fn render(&self, records: &Records) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(records.len() * 80);
        if let Some(header) = &self.header {
            bytes.extend_from_slice(header.as_bytes());
            bytes.push(b'\n');
        }
        let columns: Vec<Option<&Values>> = self
            .fields
            .iter()
            .map(|field| match field {
                Fed::Same(_) => Ok(None),
                Fed::From(name, _) => records.column(name).map(Some).ok_or(*name),
            })
            .collect::<Result<_, _>>()
            .map_err(|name| format!("{} have no {name}", records.dataset.name))?;
        for row in 0..records.len() {
            for (at, (field, column)) in self.fields.iter().zip(&columns).enumerate() {
                if at > 0 {
                    bytes.push(self.delimiter);
                }
                match (field, column) {
                    (Fed::Same(text), _) => bytes.extend_from_slice(text.as_bytes()),
                    (Fed::From(_, spelled), Some(column)) => {
                        write(spelled, column, row, &mut bytes)?;
                    }
                    (Fed::From(..), None) => {}
                }
            }
            bytes.push(b'\n');
        }
        Ok(bytes)
    }

    /// Reads what was written again: it must be of this layout, tell the same facts, and hold the
    /// same records.
    ///
    /// # Errors
    /// What is read otherwise.
    pub fn check(&self, path: &str, of: &FileOf, records: &Records) -> Result<(), String> {
        let bytes = self.render(records)?;
        let head = SampleHead::Text { bytes: &bytes, whole: true };
        // A layout of ours must win against all others.
        let own = std::slice::from_ref(&self.layout);
        let built_in = registry().map_err(|error| error.to_string())?;
        let is_ours = built_in.iter().any(|layout| layout.name == self.layout.name);
        let layouts = if is_ours { built_in } else { own };
        let sample = Sample { name: path, head };
        let found = recognise(&sample, &GivenFacts::default(), layouts, None)
            .map_err(|error| format!("{path} is not recognised: {error}"))?;
        if found.layout != self.layout.name {
            return Err(format!("{path} would be taken for {}", found.layout));
        }
        for (name, ours, theirs) in [
            ("symbol", of.symbol.as_ref(), found.facts.symbol.as_ref()),
            ("interval", self.interval.as_ref(), found.facts.interval.as_ref()),
        ] {
            if theirs.is_some_and(|theirs| Some(theirs) != ours) {
                return Err(format!("the name {path} would say another {name}: {theirs:?}"));
            }
        }
        let Some(shape) = &found.shape else { return Err("it is no text".to_owned()) };
        let (mapping, mut good) = (mapping(&found, self.layout.dataset), 0);
        let mut differs = None;
        let input = Input { name: path, bytes: &mut bytes.as_slice(), enough: u64::MAX };
        let read = text(input, shape, &mapping, |piece| {
            let rows = &piece.decoded.root;
            good += rows.num_rows();
            differs = differs.take().or_else(|| other_column(records, rows));
        });
        read.map_err(|error| error.to_string())?;
        match differs {
            Some(why) => Err(format!("it reads otherwise than it was written: {why}")),
            None if good != records.len() => Err(format!("{good} of {} records", records.len())),
            None => Ok(()),
        }
    }

    /// The first records, to be checked.
    pub fn checked_rows(rows: u64) -> u64 {
        rows.min(CHECKED_ROWS as u64)
    }
}

/// A column that was read with other values than it was written with.
fn other_column(records: &Records, read: &arrow::array::RecordBatch) -> Option<String> {
    let made = batch(records).ok()?;
    for (at, field) in read.schema().fields().iter().enumerate() {
        let Some(ours) = made.column_by_name(field.name()) else { continue };
        let theirs = read.column(at);
        let comparable = ours.data_type() == theirs.data_type();
        let same = if comparable { ours == theirs } else { ours.len() == theirs.len() };
        if !same {
            return Some(format!("{} has other values", field.name()));
        }
    }
    None
}

/// Whether any record has a value in a column.
fn has_values(records: &Records, name: &str) -> bool {
    let has = |column: &Values| {
        let there = |row| column.text(row).is_some() || column.number(row).is_some();
        (0..column.len()).any(there)
    };
    records.column(name).is_some_and(has)
}

fn position(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|known| known.eq_ignore_ascii_case(name))
}

/// What stands in a field that no column is written to.
fn filler(layout: &Layout, at: usize) -> Result<String, String> {
    let pattern = layout.recognise.values.iter().find(|(of, _)| *of == at);
    let Some((_, pattern)) = pattern else { return Ok("0".to_owned()) };
    let fits = FILLERS.iter().find(|filler| pattern.is_match(filler));
    fits.map(|filler| (*filler).to_owned()).ok_or_else(|| {
        format!("field {at} must look like {}, and nothing says what it is", pattern.as_str())
    })
}

/// How a column is written by a way: in one field, or where two are joined in both.
fn spelled(
    layout: &Layout,
    column: &Column,
    way: &Way,
    joined: bool,
) -> Result<(Spelled, Option<Spelled>), String> {
    let zone = way.zone.clone().or_else(|| layout.facts.zone.clone()).unwrap_or(Zone::UTC);
    if let Some(format) = &way.time {
        if way.stamp != Stamp::Start {
            return Err("its times are those of a bar's end".to_owned());
        }
        if joined {
            let (day, clock) = time::halves(format)
                .ok_or_else(|| format!("the two fields of {} cannot be told apart", column.name))?;
            return Ok((Spelled::Time(day, zone.clone()), Some(Spelled::Time(clock, zone))));
        }
        if matches!(format, TimeFormat::MillisOfDay(_)) {
            return Err("its times are of a day that only the file's name tells".to_owned());
        }
        return Ok((Spelled::Time(format.clone(), zone), None));
    }
    if joined {
        return Err(format!("{} is made of two fields", column.name));
    }
    let spelled = match &way.rewrite {
        None | Some(Rewrite::CutToMicros) => Spelled::Plain,
        Some(Rewrite::Number { comma, scale, .. }) => {
            Spelled::Number { scale: *scale, comma: *comma }
        }
        Some(Rewrite::Amount { comma }) => Spelled::Number { scale: 0, comma: *comma },
        Some(Rewrite::Words(map)) => Spelled::Words(
            map.iter().map(|(theirs, ours)| (ours.clone(), theirs.clone())).collect(),
        ),
        Some(Rewrite::Bytes { .. } | Rewrite::Nanos | Rewrite::Occ(_) | Rewrite::IsoDay(_)) => {
            return Err(format!("{} is a part of another field", column.name));
        }
    };
    Ok((spelled, None))
}

fn write(spelled: &Spelled, column: &Values, row: usize, into: &mut Vec<u8>) -> Result<(), String> {
    let text = column.text(row);
    match (spelled, text, column.number(row)) {
        (Spelled::Words(map), Some(text), _) => {
            let theirs = map.iter().find(|(ours, _)| ours == text);
            let (_, theirs) = theirs.ok_or_else(|| format!("it has no word for {text}"))?;
            into.extend_from_slice(theirs.as_bytes());
        }
        (_, Some(text), _) if text.contains([',', ';', '"', '\t', '|', '\n']) => {
            return Err(format!("{text} would need quotes"));
        }
        (_, Some(text), _) => into.extend_from_slice(text.as_bytes()),
        (Spelled::Time(format, zone), _, Some(us)) => time::write(format, zone, us, into)?,
        (Spelled::Number { scale, comma }, _, Some(units)) => {
            let Values::Numbers { places, .. } = column else { return Ok(()) };
            let places = i64::from(*places) - i64::from(*scale);
            let start = into.len();
            match u32::try_from(places) {
                Ok(places) => number(units, places, into),
                Err(_) => number(units * 10_i64.pow(places.unsigned_abs() as u32), 0, into),
            }
            if *scale > 0 && into[start..].contains(&b'.') {
                return Err("its prices have fewer places than these".to_owned());
            }
            if *comma && let Some(point) = into[start..].iter().position(|byte| *byte == b'.') {
                into[start + point] = b',';
            }
        }
        (_, _, Some(_)) => crate::generate::text::plain(column, row, into),
        (_, _, None) => {}
    }
    Ok(())
}
