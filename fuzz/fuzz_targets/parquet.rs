//! Parquet files: whatever is in one, it is read or refused; a panic of the library below is
//! refused too, one of ours is a finding.
#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind};

use libfuzzer_sys::fuzz_target;
use tidegate::decode::ParquetSource;
use tidegate::mapping::{FieldSource, ValueKind};
use tidegate_fuzz::{mapping, with_file};

/// Kinds that a column of the file is read as, one after the other.
const KINDS: [ValueKind; 6] = [
    ValueKind::Time,
    ValueKind::Decimal,
    ValueKind::Float,
    ValueKind::Integer,
    ValueKind::Text,
    ValueKind::Date,
];
/// What the last panic said, and where it was.
static LAST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());

/// More rows than a file of this size can honestly have are not read here.
const ROWS_MAX: u64 = 1 << 20;

fn read(path: &std::path::Path) {
    let Ok(source) = ParquetSource::open(path) else { return };
    if source.rows() > ROWS_MAX {
        return;
    }
    for (at, _) in source.columns().iter().enumerate().take(16) {
        for kind in KINDS {
            let mut mapping = mapping(false);
            let time = mapping.columns[0].time.clone();
            mapping.columns.truncate(1);
            let column = &mut mapping.columns[0];
            (column.source, column.kind) = (FieldSource::Field(at), kind);
            column.time = time.filter(|_| matches!(kind, ValueKind::Time | ValueKind::Date));
            mapping.time_column = None;
            for unit in source.units() {
                let Ok(batches) = source.read_unit(&unit, &mapping) else { continue };
                let mut rows = 0;
                for decoded in batches {
                    let Ok(decoded) = decoded else { break };
                    rows += decoded.read();
                    assert!(rows <= unit.rows, "more rows than the footer says");
                }
            }
        }
    }
}

fuzz_target!(
    init: {
        // The panics that the program catches would end the fuzzer at once otherwise.
        std::panic::set_hook(Box::new(|panic| {
            if let Ok(mut last) = LAST.lock() {
                *last = panic.to_string();
            }
        }));
    },
    |data: &[u8]| {
        with_file(data, |path| {
            if catch_unwind(AssertUnwindSafe(|| read(path))).is_err() {
                eprintln!("{}", LAST.lock().map(|last| last.clone()).unwrap_or_default());
                std::process::abort();
            }
        });
    }
);
