//! The records of one file with faults among them: what its bytes are, and what must become of each
//! record.

use super::super::Form;
use super::super::random::Random;
use super::super::records::Records;
use super::super::text::csv_header;
use super::edit::{changed, copy, document, ordered, row_bytes};
use super::key::Sums;
use super::spoil::{NO_BLOW, spoiled};
use super::{Fault, Kind};

/// Records at the head of a file that stay as they are: layouts are recognised by them.
const HEAD: usize = 24;
/// How often a place for a fault is looked for.
const TRIES: usize = 200;
/// Records of a file that is restated.
const RESTATED: usize = 5;
/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is stored.
    Stored,
    /// Its key is stored already. With other values, if so said.
    Again {
        /// Whether its values are others.
        differs: bool,
        /// Whether it is the one that stays.
        stays: bool,
    },
    /// It is refused by this rule.
    Rejected(&'static str),
    /// It is none.
    NoRecord,
}

/// A reject that must be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The fault that it is.
    pub fault: &'static str,
    /// The rule that refuses it.
    pub rule: &'static str,
    /// Record number, from 1.
    pub row: u64,
    /// Line from 1 and byte from 0, where the file has lines.
    pub place: Option<(u64, u64)>,
}

/// A file with faults.
#[derive(Debug, Default)]
pub struct Laid {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Records.
    pub read: u64,
    /// Records that are stored as new ones.
    pub inserted: u64,
    /// Records whose key is stored already: duplicates, or those that replace.
    pub again: u64,
    /// Those of them with other values.
    pub conflicting: u64,
    /// Records that are refused.
    pub refused: Vec<Refused>,
    /// What is in the tables because of it.
    pub sums: Sums,
    /// Faults that found no place, for there are too few records.
    pub left_out: Vec<&'static str>,
}

/// A record in its place.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Position in the records.
    pub record: usize,
    /// Its bytes, if they are not what the record's values are written as.
    pub bytes: Option<Vec<u8>>,
    pub fate: Fate,
    /// The fault that it is.
    pub fault: Option<&'static Fault>,
}

impl Line {
    pub fn of(record: usize) -> Self {
        Self { record, bytes: None, fate: Fate::Stored, fault: None }
    }
}

/// Which fault goes to which record, and which find no place.
type Assigned = (Vec<(&'static Fault, usize)>, Vec<&'static str>);

/// The same for the same numbers, always.
fn assign(records: &Records, faults: &[&'static Fault], seed: u64, file: u64) -> Assigned {
    let mut random = Random::of(&[seed, 0xfa17, file]);
    let rows = records.len();
    let (mut placed, mut left_out): Assigned = (Vec::new(), Vec::new());
    for fault in faults.iter().copied().filter(|fault| !fault.kind.is_file()) {
        let last = matches!(fault.kind, Kind::TruncatedLine);
        if rows < HEAD + 2 {
            left_out.push(fault.name);
            continue;
        }
        if last {
            placed.push((fault, rows - 1));
            continue;
        }
        let place = (0..TRIES)
            .map(|_| HEAD + random.below((rows - 1 - HEAD) as u64) as usize)
            .find(|&row| {
                suits(records, fault.kind, row) && placed.iter().all(|&(_, taken)| taken != row)
            });
        match place {
            Some(row) => placed.push((fault, row)),
            None => left_out.push(fault.name),
        }
    }
    (placed, left_out)
}

/// Whether a record has what a fault spoils.
fn suits(records: &Records, kind: Kind, row: usize) -> bool {
    let has = |at: Option<usize>| {
        at.is_some_and(|at| {
            records.columns[at].number(row).is_some() || records.columns[at].text(row).is_some()
        })
    };
    let named = |name: &str| has(super::position(records, name));
    match kind {
        Kind::BadDecimal | Kind::DuplicateConflicting | Kind::Restatement => {
            document(records, row).is_some() || has(super::amount_column(records))
        }
        Kind::NullValue => has(super::needed_column(records)),
        Kind::NegativeSize => {
            super::size_rule(records.dataset).is_some_and(|(name, _)| named(name))
        }
        Kind::HighBelowLow | Kind::UnitJump => super::prices(records.dataset)
            .is_some_and(|(prices, _)| prices.iter().all(|name| named(name))),
        Kind::NulByte | Kind::BrokenQuote => has(super::text_column(records)),
        Kind::BadTime | Kind::EpochUnits => has(super::time_column(records)),
        Kind::TwoFinalBlows => document(records, row).is_some_and(|text| text.contains(NO_BLOW)),
        _ => true,
    }
}

/// Lays out a file. `first` is the number of its first record.
///
/// # Errors
/// As [`Form::render`].
pub fn lay(
    mut records: Records,
    form: Form,
    faults: &[&'static Fault],
    (seed, first): (u64, u64),
) -> Result<Laid, String> {
    let rows = records.len();
    let (placed, left_out) = assign(&records, faults, seed, first);
    let mut random = Random::of(&[seed, 0xfa18, first]);
    let mut lines: Vec<Line> = (0..rows).map(Line::of).collect();
    let mut moved = vec![false; rows];
    let mut inserted: Vec<(usize, Line)> = Vec::new();
    let mut replaced: Vec<usize> = Vec::new();
    for (fault, row) in placed {
        // Behind it, and before the last.
        let later = row + 1 + random.below((rows - 1 - row).max(1) as u64) as usize;
        let later = later.min(rows - 1);
        match fault.kind {
            Kind::DuplicateEqual => {
                let mut line = Line::of(copy(&mut records, row));
                line.fate = Fate::Again { differs: false, stays: false };
                inserted.push((later, line));
            }
            Kind::DuplicateConflicting | Kind::ChangedKillmail => {
                let stays = fault.kind == Kind::ChangedKillmail;
                let mut line = Line::of(changed(&mut records, row));
                line.fate = Fate::Again { differs: true, stays };
                if stays {
                    replaced.push(row);
                }
                inserted.push((later, line));
            }
            Kind::Late => {
                moved[row] = true;
                inserted.push((rows - 1, lines[row].clone()));
            }
            Kind::RepeatedHeader => {
                let mut bytes = Vec::new();
                csv_header(&records, &mut bytes);
                let line = Line { bytes: Some(bytes), fate: Fate::NoRecord, ..Line::of(row) };
                inserted.push((row, line));
            }
            _ => lines[row] = spoiled(&mut records, form, fault, row, &mut random),
        }
    }
    inserted.sort_by_key(|(place, _)| *place);
    let mut order = Vec::with_capacity(rows + inserted.len());
    let mut next = inserted.into_iter().peekable();
    for (row, line) in lines.into_iter().enumerate() {
        while let Some((_, line)) = next.next_if(|(place, _)| *place == row) {
            order.push(line);
        }
        if !moved[row] {
            order.push(line);
        }
    }
    let mut laid = write(&records, form, first, &order)?;
    for row in replaced {
        laid.sums.take(&records, row);
    }
    laid.left_out = left_out;
    Ok(laid)
}

/// Some records of a file that [`lay`] laid out, again with other values: those that no fault
/// touched.
///
/// # Errors
/// As [`Form::render`].
pub fn restate(
    mut records: Records,
    form: Form,
    faults: &[&'static Fault],
    (seed, first): (u64, u64),
) -> Result<Laid, String> {
    let (placed, _) = assign(&records, faults, seed, first);
    let mut random = Random::of(&[seed, 0xfa19, first]);
    let rows = records.len();
    let mut chosen: Vec<usize> = Vec::new();
    for _ in 0..TRIES {
        let row = random.below(rows as u64) as usize;
        let is_free = placed.iter().all(|&(_, taken)| taken != row) && !chosen.contains(&row);
        if is_free && suits(&records, Kind::Restatement, row) && row + 1 < rows.max(2) {
            chosen.push(row);
        }
        if chosen.len() == RESTATED {
            break;
        }
    }
    chosen.sort_unstable();
    let stays = document(&records, 0).is_some();
    let mut order = Vec::new();
    for &row in &chosen {
        let mut line = Line::of(changed(&mut records, row));
        line.fate = Fate::Again { differs: true, stays };
        order.push(line);
    }
    let mut laid = write(&records, form, first, &order)?;
    if stays {
        chosen.iter().for_each(|&row| laid.sums.take(&records, row));
    }
    Ok(laid)
}

/// The bytes of lines in this order, and what must become of them.
fn write(records: &Records, form: Form, first: u64, order: &[Line]) -> Result<Laid, String> {
    let mut laid = Laid::default();
    let lines = matches!(form, Form::Csv | Form::Ndjson);
    let mut line_no = 1;
    if form == Form::Csv {
        csv_header(records, &mut laid.bytes);
        line_no += 1;
    }
    for line in order {
        let byte = laid.bytes.len() as u64;
        match &line.bytes {
            Some(bytes) => laid.bytes.extend_from_slice(bytes),
            None if lines => row_bytes(records, form, line.record, &mut laid.bytes),
            None => {}
        }
        line_no += 1;
        if line.fate == Fate::NoRecord {
            continue;
        }
        laid.read += 1;
        match line.fate {
            Fate::Stored => laid.inserted += 1,
            Fate::Again { differs, .. } => {
                laid.again += 1;
                laid.conflicting += u64::from(differs);
            }
            Fate::Rejected(rule) => laid.refused.push(Refused {
                fault: line.fault.map_or("", |fault| fault.name),
                rule,
                row: laid.read,
                place: lines.then_some((line_no - 1, byte)),
            }),
            Fate::NoRecord => {}
        }
        if matches!(line.fate, Fate::Stored | Fate::Again { stays: true, .. }) {
            laid.sums.add(records, line.record);
        }
    }
    if !lines {
        let places: Vec<usize> = order.iter().map(|line| line.record).collect();
        let records = ordered(records, &places);
        laid.bytes = form.render(&records, first)?;
    }
    Ok(laid)
}
