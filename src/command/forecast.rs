//! What a load is expected to need: partitions, told by the first and last records of the sources,
//! and time, told by the runs that the ledger has. Reads a little of each source and writes
//! nothing. An expectation, said as one: the load itself goes by all records.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;

use crate::column::TimeRanges;
use crate::db::Connection;
use crate::db::ledger::{self, Pace};
use crate::db::partition::{Width, plan_partitions};
use crate::decode::ParquetSource;
use crate::limit::{CHUNK_BYTES, PARTITIONS_PER_LOAD_MAX, RECORD_BYTES_MAX};
use crate::pipeline::width_for;
use crate::source::ContentReader;

use super::CommandError;
use super::inspect::read::{self, Input, Piece};
use super::plan::{Planned, Standing};
use super::survey::Source;

/// Bytes a second that a load is expected to make where nothing is known.
const BYTES_PER_S_GUESS: f64 = 60e6;
/// Runs of less say more about starting than about loading.
const PACE_BYTES_MIN: i64 = 1_000_000;
/// Sources that are looked into; the others are taken to be like them.
const SOURCES_MAX: usize = 200;
/// Sources of a hypertable that are looked into, spread evenly over all.
const SAMPLES: usize = 12;
/// Compressed sources larger than this are not read to their ends.
const TAIL_PACKED_MAX: u64 = 64 << 20;
const DAY_US: i64 = 86_400_000_000;

/// How long it should take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub seconds: f64,
    /// What it was told by; `None`: a guess.
    pub pace: Option<Pace>,
}

/// How long loading so many bytes of these datasets should take.
///
/// # Errors
/// The server's.
pub(super) async fn time(
    connection: &Connection,
    has_ledger: bool,
    datasets: &BTreeSet<&str>,
    bytes: u64,
) -> Result<Expected, CommandError> {
    let datasets: Vec<&str> = datasets.iter().copied().collect();
    let mut pace = None;
    if has_ledger {
        pace = ledger::pace(connection, &datasets, PACE_BYTES_MIN).await?;
    }
    let rate = pace.map_or(BYTES_PER_S_GUESS, Pace::bytes_per_s);
    Ok(Expected { seconds: bytes as f64 / rate, pace })
}

/// A partition that is expected to be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NewPartition {
    pub table: String,
    /// Microseconds from 1970 UTC, the end excluded.
    pub range: (i64, i64),
}

/// The partitions that are to be made.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    pub new: Vec<NewPartition>,
    /// Sources that were not looked into, or not to their ends.
    pub unseen: usize,
    /// Why a range has none.
    pub faults: BTreeSet<String>,
}

/// What the first and last records of a source say.
#[derive(Debug, Default)]
struct Glance {
    rows: u64,
    /// Days of the first records, and how many each has.
    days: BTreeMap<i64, u64>,
    range: Option<(i64, i64)>,
    /// Whether the source's end was seen.
    to_end: bool,
}

/// Partitions that the loads need and that are not there.
pub(super) fn partitions(loads: &[Planned]) -> Partitions {
    let mut found = Partitions::default();
    let to_load = |planned: &&Planned| {
        let open = matches!(planned.standing, Standing::New | Standing::Resumable { .. });
        open && planned.route.makes_partitions
    };
    let open: Vec<&Planned> = loads.iter().filter(to_load).collect();
    let mut tables: BTreeMap<String, TimeRanges> = BTreeMap::new();
    for (at, planned) in open.iter().enumerate() {
        if at >= SOURCES_MAX {
            found.unseen += 1;
            continue;
        }
        // What cannot be read is told when it is loaded.
        let Ok(glance) = glance(planned) else {
            found.unseen += 1;
            continue;
        };
        found.unseen += usize::from(!glance.to_end);
        let Some((from, to)) = glance.range else { continue };
        let table = &planned.route.target.root().table;
        let name = table.display_name();
        let there = tables.entry(name.clone()).or_insert_with(|| {
            table.partitioning.as_ref().map(|p| p.accepted.clone()).unwrap_or_default()
        });
        let a_day = glance.rows * open.len() as u64 / glance.days.len().max(1) as u64;
        match plan_partitions(there, from, to, width_for(a_day, found.new.len())) {
            Ok(new) => {
                there.ranges.extend(&new);
                there.ranges.sort_unstable();
                let named = |range| NewPartition { table: name.clone(), range };
                found.new.extend(new.into_iter().map(named));
            }
            Err(error) => {
                found.faults.insert(format!("{}: {error}", planned.source.name));
            }
        }
    }
    found.new.sort_unstable();
    found
}

/// How wide the chunks of a hypertable are best, which has none and is to be loaded from these
/// sources. `None`: nothing can be read of them, or they have no times.
pub(super) fn chunk_width(loads: &[&Planned]) -> Option<Width> {
    let last = loads.len().checked_sub(1)?;
    let places: BTreeSet<usize> =
        (0..SAMPLES).map(|sample| sample * last / (SAMPLES - 1)).collect();
    let glances: Vec<Glance> = places.iter().filter_map(|&at| glance(loads[at]).ok()).collect();
    width_of(&glances, loads.len())
}

/// Of so many sources, of which these were looked at: rows a day are those of a source, times the
/// sources that have the same days.
fn width_of(glances: &[Glance], sources: usize) -> Option<Width> {
    let days =
        |(from, to): (i64, i64)| (to.div_euclid(DAY_US) - from.div_euclid(DAY_US) + 1) as f64;
    let ranges: Vec<(i64, i64)> = glances.iter().filter_map(|glance| glance.range).collect();
    let first = ranges.iter().map(|range| range.0).min()?;
    let span = days((first, ranges.iter().map(|range| range.1).max()?));
    let seen: f64 = ranges.iter().map(|&range| days(range)).sum();
    let beside = match glances.iter().all(|glance| glance.to_end) {
        true => (seen / span * sources as f64 / ranges.len() as f64).max(1.0),
        false => sources as f64,
    };
    // The first records may end, and begin, within a day: the fullest one tells.
    let fullest = |glance: &Glance| glance.days.values().copied().max().unwrap_or(0);
    let rows: u64 = glances.iter().map(fullest).sum();
    let mut width = width_for((rows as f64 / ranges.len() as f64 * beside) as u64, 0);
    while let Some(wider) = width.wider()
        && span / width.days() as f64 > PARTITIONS_PER_LOAD_MAX as f64 / 2.0
    {
        width = wider;
    }
    Some(width)
}

fn glance(planned: &Planned) -> Result<Glance, CommandError> {
    let source = &planned.source;
    let mapping = &planned.route.mapping;
    let mut glance = Glance::default();
    let Some(time) = mapping.time_column else { return Ok(glance) };
    let open = |at| ContentReader::open(&source.location, source.fingerprint.clone(), at);
    let mut look = |piece: Piece, is_first: bool| glance.add(&piece, time, is_first);
    let recognised = &source.recognised;
    let whole = match (&recognised.shape, &recognised.json) {
        (Some(shape), _) => {
            let mut reader = open(0)?;
            let input = Input { name: &source.name, bytes: &mut reader, enough: 1 };
            let mut whole = read::text(input, shape, mapping, |piece| look(piece, true))?;
            if let Some(mut reader) = tail(planned)?.filter(|_| !whole) {
                let shape = crate::mapping::TextShape { head_lines: 0, ..shape.clone() };
                let input = Input { name: &source.name, bytes: &mut reader, enough: u64::MAX };
                whole = read::text(input, &shape, mapping, |piece| look(piece, false))?;
            }
            whole
        }
        (None, Some(shape)) => {
            let mut reader = open(0)?;
            let input = Input { name: &source.name, bytes: &mut reader, enough: 1 };
            read::json(input, shape, mapping, |piece| look(piece, true))?
        }
        (None, None) => parquet(planned, &mut look)?,
    };
    glance.to_end = whole;
    Ok(glance)
}

/// The end of a text: what follows the last line end before its last chunk.
fn tail(planned: &Planned) -> Result<Option<ContentReader>, CommandError> {
    let source = &planned.source;
    let bytes = source.fingerprint.bytes;
    // Of an object the end is not worth a request for each source: its size is not asked for.
    let stored = match source.location.file() {
        Some(path) => std::fs::metadata(path).map_err(CommandError::file(path))?.len(),
        None => 0,
    };
    let start = bytes.saturating_sub(CHUNK_BYTES as u64);
    if start == 0 || stored != bytes && bytes > TAIL_PACKED_MAX {
        return Ok(None);
    }
    let mut reader = ContentReader::open(&source.location, source.fingerprint.clone(), start)?;
    let mut line = Vec::new();
    let mut first = (&mut reader).take(RECORD_BYTES_MAX as u64);
    first.read_until(b'\n', &mut line).map_err(CommandError::file(Path::new(&*source.name)))?;
    Ok(Some(reader))
}

/// The first and the last row group.
fn parquet(planned: &Planned, look: &mut impl FnMut(Piece, bool)) -> Result<bool, CommandError> {
    let plain = |error: crate::decode::DecodeError| CommandError::Refused(error.to_string());
    let Source { name, location, fingerprint, .. } = &planned.source;
    let bytes = location.bytes(Some(fingerprint))?;
    let source = ParquetSource::over(Path::new(&**name), bytes).map_err(plain)?;
    let units = source.units();
    let ends = [units.first(), units.last().filter(|_| units.len() > 1)];
    for (at, unit) in ends.into_iter().flatten().enumerate() {
        for decoded in source.read_unit(unit, &planned.route.mapping).map_err(plain)? {
            let decoded = decoded.map_err(plain)?;
            let original = crate::batch::Original::Columns;
            look(
                Piece {
                    decoded,
                    original,
                    first_line: 0,
                    first_row: unit.first_row + 1,
                    start: unit.first_row,
                },
                at == 0,
            );
        }
    }
    Ok(true)
}

impl Glance {
    fn add(&mut self, piece: &Piece, time: usize, is_first: bool) {
        let batch = &piece.decoded.root;
        let Some(times) = batch.column(time).as_primitive_opt::<TimestampMicrosecondType>() else {
            return;
        };
        for ts in times.iter().flatten() {
            let (from, to) = self.range.unwrap_or((ts, ts));
            self.range = Some((from.min(ts), to.max(ts)));
            if is_first {
                self.rows += 1;
                *self.days.entry(ts.div_euclid(DAY_US)).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance_of(from_day: i64, days: i64, rows_a_day: u64) -> Glance {
        Glance {
            rows: rows_a_day + 1,
            days: [(from_day, rows_a_day), (from_day + 1, 1)].into(),
            range: Some((from_day * DAY_US, (from_day + days) * DAY_US - 1)),
            to_end: true,
        }
    }

    #[test]
    fn chunks_are_as_wide_as_partitions_would_be() {
        let of = |from, days, rows, sources: i64, step: i64| {
            let glances: Vec<Glance> =
                (0..12).map(|at| glance_of(from + at * sources / 12 * step, days, rows)).collect();
            width_of(&glances, sources as usize)
        };
        // A file a symbol, all of the same year; a file a day.
        assert_eq!(of(0, 365, 390, 400, 0), Some(Width::Day));
        assert_eq!(of(0, 365, 390, 20, 0), Some(Width::Month));
        assert_eq!(of(0, 365, 1, 400, 0), Some(Width::Year));
        assert_eq!(of(0, 1, 2_000, 360, 1), Some(Width::Month));
        assert_eq!(of(0, 1, 60_000, 360, 1), Some(Width::Day));
        // Forty years of it would be too many.
        assert_eq!(of(0, 14_600, 390, 400, 0), Some(Width::Month));
        assert_eq!(width_of(&[], 3), None);
    }
}
