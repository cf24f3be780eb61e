//! What the fuzz targets share: a mapping with a column of every kind, what a decoder gave in a
//! form that can be compared, and a file for decoders that read files. Knows no target.

use std::io::Write;
use std::path::Path;

use tidegate::batch::{Original, row_as_json};
use tidegate::decode::Decoded;
use tidegate::mapping::{
    FieldSource, MappedColumn, Mapping, Quirks, Rewrite, TimeFormat, TimeRule, ValueKind, Zone,
};

/// Fields that [`mapping`] reads.
pub const FIELDS: usize = 9;

/// Columns of every kind, each read from a field of its own.
pub fn mapping(window: bool) -> Mapping {
    let paris = Zone::parse("Europe/Paris").unwrap_or(Zone::UTC);
    let of = |name: &str, at: usize, kind: ValueKind, required: bool| MappedColumn {
        name: name.to_owned(),
        source: FieldSource::Field(at),
        kind,
        rewrite: None,
        time: matches!(kind, ValueKind::Time | ValueKind::Date)
            .then(|| TimeRule::new(TimeFormat::Auto, paris.clone())),
        required,
    };
    let thousands = Rewrite::Number { comma: true, scale: -2, thousands: Some(b'\'') };
    let columns = vec![
        of("ts", 0, ValueKind::Time, true),
        of("symbol", 1, ValueKind::Word, true),
        of("open", 2, ValueKind::Float, false),
        of("high", 3, ValueKind::Decimal, false),
        MappedColumn { rewrite: Some(thousands), ..of("low", 4, ValueKind::Float, false) },
        of("count", 5, ValueKind::Integer, false),
        of("day", 6, ValueKind::Date, false),
        of("note", 7, ValueKind::Text, false),
        of("maker", 8, ValueKind::Bool, false),
    ];
    Mapping {
        dataset: "bars".to_owned(),
        columns,
        time_column: Some(0),
        from_us: window.then_some(1_700_000_000_000_000),
        to_us: window.then_some(1_800_000_000_000_000),
        quirks: Quirks::default(),
        nulls: vec![b"null".to_vec(), b"NaN".to_vec()],
    }
}

/// What a decoder gave: rows, rejects (record, line, byte, length, rule), and records skipped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    rows: Vec<String>,
    rejects: Vec<(u64, u64, u64, u64, String)>,
    skipped: u64,
    records: u64,
    lines: u64,
    bytes: u64,
}

impl Outcome {
    /// Adds what the next `bytes` of the source became.
    pub fn follow(&mut self, decoded: &Decoded, original: &Original, bytes: usize) {
        let (records, lines, start) = (self.records, self.lines, self.bytes);
        assert_eq!(decoded.places.len(), decoded.root.num_rows());
        self.rows.extend((0..decoded.root.num_rows()).map(|row| {
            let place = decoded.places[row];
            let (record, line) = (records + u64::from(place.row), lines + u64::from(place.line));
            let byte = start + u64::from(place.offset);
            format!("{record} {line} {byte} {} {}", place.len, row_as_json(&decoded.root, row))
        }));
        self.rejects.extend(decoded.rejects.iter(original).map(|reject| {
            assert!(!reject.reason.is_empty());
            let (record, line) = (records + u64::from(reject.row), lines + u64::from(reject.line));
            (record, line, start + reject.offset, reject.len, reject.rule.into_owned())
        }));
        self.skipped += decoded.skipped;
        self.records += decoded.read();
        self.lines += decoded.lines;
        self.bytes += bytes as u64;
    }

    /// Source records.
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// A configuration from the first byte, and the rest. Nothing for an empty input.
pub fn split(data: &[u8]) -> Option<(u8, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((*first, rest))
}

/// Calls `with` with a file of these bytes, in memory where the system has such a place.
pub fn with_file<T>(bytes: &[u8], with: impl FnOnce(&Path) -> T) -> Option<T> {
    let memory = Path::new("/dev/shm");
    let mut file = match memory.is_dir() {
        true => tempfile::NamedTempFile::new_in(memory).ok()?,
        false => tempfile::NamedTempFile::new().ok()?,
    };
    file.write_all(bytes).ok()?;
    Some(with(file.path()))
}
