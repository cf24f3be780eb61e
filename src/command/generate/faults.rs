//! Faults among generated files, and the answer key that says what must become of everything.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Batchwork, CommandError, Piece, Writing};
use crate::generate::Form;
use crate::generate::fault::{self, Kind, Laid, Sums};

/// The answer key's name in the folder of the files.
pub const KEY_NAME: &str = "answer-key.json";
/// Records of a file that is cut off.
const CUT_ROWS: u64 = 200;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// Records.
    None,
    /// A fault that is a file of its own.
    Fault(Kind),
}

/// What must become of a file.
#[derive(Debug, Default)]
pub(super) struct Entry {
    outcome: &'static str,
    laid: Laid,
}

impl Batchwork {
    /// The files that are faults, behind those with records.
    pub(super) fn extra_files(&self) -> Vec<Piece> {
        let (name, seed) = (self.dataset.name, self.seed);
        let ending = self.form().map_or("csv", Form::ending);
        let packed = self.plain_form().ending();
        let files = self.faults.iter().filter(|fault| fault.kind.is_file());
        let piece = |fault: &&'static fault::Fault| {
            let ending = match fault.kind {
                Kind::EmptyFile | Kind::Restatement => ending.to_owned(),
                Kind::HtmlPage => "csv".to_owned(),
                Kind::TruncatedGzip => format!("{packed}.gz"),
                Kind::TruncatedZip => "zip".to_owned(),
                _ => "tar".to_owned(),
            };
            // Behind the numbers of the others, in the order of names.
            Piece {
                name: format!("{name}-{seed}-{}.{ending}", fault.name),
                rows: Vec::new(),
                extra: Extra::Fault(fault.kind),
            }
        };
        files.map(piece).collect()
    }

    /// The form of the files, where it is one of ours.
    fn form(&self) -> Option<Form> {
        match &self.writing {
            Writing::Form(form) => Some(*form),
            Writing::Vendor(_) => None,
        }
    }

    /// The form of what is packed and cut off.
    fn plain_form(&self) -> Form {
        if self.dataset.children.is_empty() { Form::Csv } else { Form::Ndjson }
    }

    /// The faults that are asked for, of those that make sense.
    ///
    /// # Errors
    /// Names that are none; a vendor's layout.
    pub(super) fn with_faults(&mut self, names: &[String]) -> Result<(), CommandError> {
        if names.is_empty() {
            return Ok(());
        }
        let form = self.form().ok_or_else(|| {
            let why = "--faults are mixed into forms of our own: leave out --layout";
            CommandError::Usage(why.to_owned())
        })?;
        let records = self.generator.records();
        self.faults = fault::chosen(names, &records, form).map_err(CommandError::Usage)?;
        let extra = self.extra_files();
        self.files.extend(extra);
        Ok(())
    }

    /// The bytes of a file with faults, and what must become of it.
    pub(super) fn faulty(&self, piece: &Piece) -> Result<(Vec<u8>, Entry), String> {
        let form = self.form().unwrap_or(Form::Csv);
        let records = |rows: &[std::ops::Range<u64>]| {
            let mut records = self.generator.records();
            rows.iter().for_each(|rows| self.generator.make(rows.clone(), &mut records));
            records
        };
        let of_file = |piece: &Piece| (self.seed, piece.rows.first().map_or(0, |rows| rows.start));
        let loaded = |mut laid: Laid| {
            let bytes = std::mem::take(&mut laid.bytes);
            (bytes, Entry { outcome: "loaded", laid })
        };
        let Extra::Fault(kind) = piece.extra else {
            let of_file = of_file(piece);
            return fault::lay(records(&piece.rows), form, &self.faults, of_file).map(loaded);
        };
        let Some(first) = self.files.first() else { return Err("there is no file".to_owned()) };
        if kind == Kind::Restatement {
            let of_file = of_file(first);
            return fault::restate(records(&first.rows), form, &self.faults, of_file).map(loaded);
        }
        let some: Vec<_> = first
            .rows
            .iter()
            .take(1)
            .map(|rows| rows.start..rows.end.min(rows.start + CUT_ROWS))
            .collect();
        let content = || self.plain_form().render(&records(&some), 0);
        let inner = format!("{}.{}", self.dataset.name, self.plain_form().ending());
        let failed = |error: std::io::Error| error.to_string();
        let (bytes, outcome) = match kind {
            Kind::HtmlPage => (fault::html_page(), "ignored"),
            Kind::TruncatedGzip => (cut(gzip(&content()?).map_err(failed)?), "failed"),
            Kind::TruncatedZip => (zip_cut(&inner, &content()?), "failed"),
            Kind::TruncatedTar => (cut(tar(&inner, &content()?).map_err(failed)?), "failed"),
            _ => (Vec::new(), "ignored"),
        };
        Ok((bytes, Entry { outcome, laid: Laid::default() }))
    }

    /// The answer key.
    pub(super) fn key(&self, entries: &BTreeMap<String, Entry>) -> Value {
        let (mut sums, mut rejects, mut files) = (Sums::default(), Vec::new(), Vec::new());
        let updates = self.dataset.on_conflict == crate::dataset::ConflictPolicy::Update;
        for (name, entry) in entries {
            let laid = &entry.laid;
            for refused in &laid.refused {
                rejects.push(json!({
                    "file": name,
                    "fault": refused.fault,
                    "rule": refused.rule,
                    "row": refused.row,
                    "line": refused.place.map(|(line, _)| line),
                    "byte": refused.place.map(|(_, byte)| byte),
                }));
            }
            files.push(json!({
                "file": name,
                "outcome": entry.outcome,
                "read": laid.read,
                "inserted": laid.inserted,
                "again": laid.again,
                // Where the last wins, some are replaced before they are stored.
                "conflicting": (!updates).then_some(laid.conflicting),
                "rejected": laid.refused.len(),
                "left_out": laid.left_out,
            }));
            sums.join(laid.sums.clone());
        }
        let mut tables: BTreeMap<String, serde_json::Map<String, Value>> = BTreeMap::new();
        for table in self.dataset.tables().map(|table| table.to_string()) {
            let days = sums.0.iter().filter(|((of, _), (rows, _))| *of == table && *rows != 0);
            let days: serde_json::Map<String, Value> = days
                .map(|((_, day), (rows, sum))| {
                    (day.clone(), json!({ "rows": rows, "sum": sum.to_string() }))
                })
                .collect();
            tables.insert(table, days);
        }
        json!({
            "answer_key": 1,
            "program": concat!("tidegate ", env!("CARGO_PKG_VERSION")),
            "dataset": self.dataset.name,
            "seed": self.seed,
            "faults": self.faults.iter().map(|fault| fault.name).collect::<Vec<_>>(),
            "files": files,
            "tables": tables,
            "rejects": rejects,
        })
    }

    /// Writes the answer key into the folder of the files.
    pub(super) fn write_key(
        &self,
        folder: &Path,
        entries: &BTreeMap<String, Entry>,
    ) -> Result<(), CommandError> {
        let path = folder.join(KEY_NAME);
        let text = serde_json::to_vec_pretty(&self.key(entries)).unwrap_or_default();
        std::fs::write(&path, text).map_err(CommandError::file(&path))
    }
}

/// Two thirds of a file.
fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 3 * 2);
    bytes
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content)?;
    packer.finish()
}

/// A stored member and no directory: a zip archive that was cut off behind its first member.
fn zip_cut(name: &str, content: &[u8]) -> Vec<u8> {
    let mut hasher = flate2::Crc::new();
    hasher.update(content);
    let size = content.len() as u32;
    let mut bytes = b"PK\x03\x04\x14\0\0\0\0\0\0\0\x21\x58".to_vec();
    for number in [hasher.sum(), size, size] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// One member in the format of POSIX, with the two empty blocks at the end.
fn tar(name: &str, content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    write!(&mut header[124..136], "{:011o}\0", content.len())?;
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    write!(&mut header[148..156], "{sum:06o}\0 ")?;
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().div_ceil(512) * 512 + 1024, 0);
    Ok(bytes)
}
