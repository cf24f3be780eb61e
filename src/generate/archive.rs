//! Documents as EVE Ref archives them: a tar, compressed by bzip2, with a file for each document.

use std::io::{self, Write};

use bzip2::Compression;
use bzip2::write::BzEncoder;

use super::records::Records;

const BLOCK: usize = 512;

/// Killmails as the bytes of an archive, each in a file that is called after its id, or, without
/// one, after its number, of which `first` is that of the first.
///
/// # Errors
/// When compressing fails.
pub fn archive(records: &Records, first: u64) -> io::Result<Vec<u8>> {
    let mut out = BzEncoder::new(Vec::new(), Compression::default());
    let documents = records.columns.first();
    for row in 0..records.len() {
        let document = documents.and_then(|column| column.text(row)).unwrap_or_default();
        let len = document.len();
        out.write_all(&header(&name(document, first + row as u64), len))?;
        out.write_all(document.as_bytes())?;
        out.write_all(&[0; BLOCK][..len.next_multiple_of(BLOCK) - len])?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    out.finish()
}

/// What the file of a document is called.
fn name(document: &str, number: u64) -> String {
    let behind = document.split("\"killmail_id\":").nth(1).unwrap_or_default();
    let id: String = behind.chars().take_while(char::is_ascii_digit).collect();
    let id = if id.is_empty() { format!("n{number}") } else { id };
    format!("killmails/{id}.json")
}

/// A header in the form of POSIX.
fn header(name: &str, len: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(99)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{len:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
