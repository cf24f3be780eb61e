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
use crate::db::partition::plan_partitions;
use crate::decode::ParquetSource;
use crate::limit::{CHUNK_BYTES, RECORD_BYTES_MAX};
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
    /// Days of the first records.
    days: BTreeSet<i64>,
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
                self.days.insert(ts.div_euclid(DAY_US));
            }
        }
    }
}
