//! Killmails: no document makes their decoder panic, and one that is refused leaves no row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::decode::{Killmails, RecordDecoder, Taken};
use tidegate_fuzz::split;

fuzz_target!(|data: &[u8]| {
    let Some((config, data)) = split(data) else { return };
    let window = (config & 1 != 0).then_some(1_600_000_000_000_000);
    let mut killmails = Killmails::new(window, None);
    let mut roots = 0;
    for record in data.split(|byte| *byte == b'\n') {
        if std::str::from_utf8(record).is_err() {
            continue;
        }
        match killmails.take(record) {
            Ok(Taken::Row) => roots += 1,
            Ok(Taken::Skipped) => {}
            Err(fault) => assert!(!fault.reason.is_empty() && !fault.rule.is_empty()),
        }
    }
    let rows = killmails.finish().expect("Arrow takes the arrays");
    assert_eq!(rows.root.num_rows(), roots);
    for child in &rows.children {
        assert_eq!(child.rows.num_rows(), child.root_of.len());
        assert!(child.root_of.is_sorted());
        assert!(child.root_of.last().is_none_or(|last| (*last as usize) < roots));
    }
});
