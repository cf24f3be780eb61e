//! Compressed files and archives: whatever is in one, it is looked into or refused within bounds,
//! and what was taken is read again as what was taken.
#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use tidegate::source::{Content, ContentReader, Seen, Spooler, Visitor, Want, look_into};
use tidegate_fuzz::{split, with_file};

/// Takes everything.
#[derive(Default)]
struct All(Vec<Content>);

impl Visitor for All {
    type Known = ();

    fn look(&mut self, seen: &Seen<'_>) -> Want<()> {
        match seen.head.first() {
            Some(b'!') => Want::No,
            Some(b'{') if seen.in_tar => Want::Archive(()),
            _ => Want::This(()),
        }
    }

    fn take(&mut self, (): (), content: Content) {
        self.0.push(content);
    }

    fn ignored(&mut self, name: String, why: String) {
        assert!(!name.is_empty() && !why.is_empty());
    }

    fn failed(&mut self, name: String, why: String) {
        assert!(!name.is_empty() && !why.is_empty());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((config, data)) = split(data) else { return };
    let name = if config & 1 == 0 { "file" } else { "file.csv.br" };
    with_file(data, |path| {
        let mut all = All::default();
        // What was whole before a fault is taken all the same.
        let _ = look_into(&path.into(), name, &Spooler::default(), &mut all);
        for content in all.0 {
            let bytes = content.fingerprint.bytes;
            if bytes > 1 << 20 {
                continue;
            }
            let mut again = Vec::new();
            let reader = ContentReader::open(&content.location, content.fingerprint.clone(), 0);
            reader.expect("it is there").read_to_end(&mut again).expect("it reads again");
            assert_eq!(again.len() as u64, bytes, "{}", content.name);
            let half = bytes / 2;
            let mut tail = Vec::new();
            let reader = ContentReader::open(&content.location, content.fingerprint, half);
            reader.expect("it is there").read_to_end(&mut tail).expect("its half reads again");
            assert!(again.ends_with(&tail) && tail.len() as u64 == bytes - half);
        }
    });
});
