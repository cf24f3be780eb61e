//! The mended file, and how its records are read: one by one first, so that each has a fate of its
//! own, then those that are good together, as one batch.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::ByteRecord;

use crate::batch::{Batch, Chunk, Original};
use crate::decode::{DecodeError, Decoded, JsonDecoder, JsonPiece, TextDecoder};
use crate::limit::{CHUNK_BYTES, INSERT_ROWS};
use crate::mapping::{JsonShape, Mapping, TextShape};
use crate::span::Span;

use super::super::CommandError;
use super::sheet;

/// A record of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The reject that it was.
    pub id: i64,
    pub bytes: Vec<u8>,
}

/// A mended export. Columns may have been reordered or taken out, but for two; commas may have
/// become semicolons or tabs.
#[derive(Debug)]
pub(super) struct MendedFile {
    path: PathBuf,
    reader: csv::Reader<BufReader<File>>,
    id_column: usize,
    record_column: usize,
    row: ByteRecord,
}

impl MendedFile {
    pub fn open(path: &Path) -> Result<Self, CommandError> {
        let open = || File::open(path).map(BufReader::new);
        let mut first = Vec::new();
        let mut head = open().map_err(CommandError::file(path))?;
        head.read_until(b'\n', &mut first).map_err(CommandError::file(path))?;
        for delimiter in *b",;\t" {
            let file = open().map_err(CommandError::file(path))?;
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(file);
            let names = reader.byte_headers().map_err(|error| wrong(path, error))?;
            let position = |wanted: &[u8]| names.iter().position(|name| is_name(name, wanted));
            if let (Some(id_column), Some(record_column)) =
                (position(b"reject_id"), position(b"record"))
            {
                let (path, row) = (path.to_owned(), ByteRecord::new());
                return Ok(Self { path, reader, id_column, record_column, row });
            }
        }
        let shown = String::from_utf8_lossy(&first[..first.len().min(200)]);
        Err(wrong(path, format!("no columns reject_id and record in {:?}", shown.trim_end())))
    }

    fn next(&mut self) -> Result<Option<Record>, CommandError> {
        let read = self.reader.read_byte_record(&mut self.row);
        if !read.map_err(|error| wrong(&self.path, error))? {
            return Ok(None);
        }
        let cell = self.row[self.id_column].trim_ascii();
        let id = std::str::from_utf8(cell).ok().and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| {
            let line = self.row.position().map_or(0, csv::Position::line);
            let shown = String::from_utf8_lossy(cell);
            wrong(&self.path, format!("line {line}: {shown:?} is no reject_id"))
        })?;
        let bytes = sheet::unescape(&self.row[self.record_column]).to_vec();
        Ok(Some(Record { id, bytes }))
    }

    /// The next records, as many as one transaction takes. Empty: there are no more.
    pub fn next_slice(&mut self) -> Result<Vec<Record>, CommandError> {
        let (mut slice, mut bytes) = (Vec::new(), 0);
        while slice.len() < INSERT_ROWS && bytes < CHUNK_BYTES {
            let Some(record) = self.next()? else { break };
            bytes += record.bytes.len();
            slice.push(record);
        }
        Ok(slice)
    }

    /// Reads the file to its end, so that what is wrong with it is found before anything is
    /// loaded, and gives the ids in it, sorted.
    pub fn check(path: &Path) -> Result<Vec<i64>, CommandError> {
        let mut file = Self::open(path)?;
        let mut ids = Vec::new();
        while let Some(record) = file.next()? {
            ids.push(record.id);
        }
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => {
                Err(wrong(path, format!("reject {} is there twice: keep one of them", twice[0])))
            }
            None => Ok(ids),
        }
    }
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> CommandError {
    CommandError::Refused(format!(
        "{}: {why}; replay takes the CSV that tidegate rejects export wrote",
        path.display()
    ))
}

fn is_name(cell: &[u8], wanted: &[u8]) -> bool {
    let cell = cell.strip_prefix("\u{feff}".as_bytes()).unwrap_or(cell);
    cell.trim_ascii().eq_ignore_ascii_case(wanted)
}

/// A record that is still bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StillBad {
    pub id: i64,
    pub rule: String,
    pub column: Option<String>,
    pub reason: String,
}

impl StillBad {
    pub fn new(id: i64, rule: &str, reason: impl Into<String>) -> Self {
        Self { id, rule: rule.to_owned(), column: None, reason: reason.into() }
    }
}

/// What records became.
#[derive(Debug)]
pub(super) struct Read {
    /// The rows of the good ones. A record's ordinal is its position in `ids`.
    pub batch: Batch,
    pub ids: Vec<i64>,
    /// Records outside the time window of their load.
    pub skipped: Vec<i64>,
    pub bad: Vec<StillBad>,
}

/// Reads the records of one load.
#[derive(Debug)]
pub(super) struct RecordReader {
    decoder: Decoder,
}

#[derive(Debug)]
enum Decoder {
    Text(Box<TextDecoder>),
    Json(JsonDecoder),
}

impl Decoder {
    /// Decodes records and gives the bytes that their places point into.
    fn decode(&mut self, records: &[&[u8]]) -> Result<(Decoded, Arc<Chunk>), DecodeError> {
        match self {
            Decoder::Text(decoder) => {
                let mut bytes = records.join(&b'\n');
                if records.len() > 1 {
                    bytes.push(b'\n');
                }
                let chunk = Chunk { bytes };
                Ok((decoder.decode(&chunk, false)?, Arc::new(chunk)))
            }
            Decoder::Json(decoder) => {
                let piece = JsonPiece::of_documents(records.iter().copied());
                Ok((decoder.decode(&piece)?, piece.chunk))
            }
        }
    }
}

impl RecordReader {
    /// A reader for records without preamble and header.
    pub fn new(mapping: &Mapping, shape: &TextShape) -> Result<Self, DecodeError> {
        let shape = TextShape { head_lines: 0, ..shape.clone() };
        Ok(Self { decoder: Decoder::Text(Box::new(TextDecoder::new(mapping, &shape)?)) })
    }

    /// A reader for records that are JSON.
    pub fn of_json(mapping: &Mapping, shape: &JsonShape) -> Result<Self, DecodeError> {
        Ok(Self { decoder: Decoder::Json(JsonDecoder::new(mapping, shape)?) })
    }

    pub fn read(&mut self, records: &[Record]) -> Result<Read, DecodeError> {
        let (mut ids, mut skipped, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let mut together: Vec<&[u8]> = Vec::new();
        for Record { id, bytes } in records {
            let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
            let bytes = &bytes[..end.map_or(0, |at| at + 1)];
            let (alone, _) = self.decoder.decode(&[bytes])?;
            // What was wrong is asked for, not the bytes.
            match (alone.read(), alone.rejects.iter(&Original::Columns).next()) {
                (0, _) => bad.push(StillBad::new(*id, "no_record", "the record is empty")),
                (1, None) if alone.skipped == 1 => skipped.push(*id),
                (1, None) => {
                    ids.push(*id);
                    together.push(bytes);
                }
                (1, Some(reject)) => bad.push(StillBad {
                    id: *id,
                    rule: reject.rule.into_owned(),
                    column: reject.column,
                    reason: reject.reason,
                }),
                (found, _) => {
                    let reason = format!("these are {found} records where one was refused");
                    bad.push(StillBad::new(*id, "several_records", reason));
                }
            }
        }
        let (decoded, chunk) = self.decoder.decode(&together)?;
        let batch = Batch {
            span: Span::default(),
            last: true,
            root: decoded.root,
            places: decoded.places,
            children: decoded.children,
            rejects: decoded.rejects,
            skipped: decoded.skipped,
            original: Original::Text(chunk),
        };
        Ok(Read { batch, ids, skipped, bad })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{FieldSource, MappedColumn, Quirks, ValueKind};

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_mended_file_may_be_reordered() {
        let record = |id, bytes: &[u8]| Record { id, bytes: bytes.to_vec() };
        for text in [
            &b"reject_id,source,record\n7,a.csv,\"A,\"\"x\"\"\0\xff\nB\"\n\n8,,'=1\n"[..],
            b"\xef\xbb\xbfRecord;reject_id\r\n\"A,\"\"x\"\"\0\xff\nB\";7\r\n'=1; 8 \r\n",
            b"record\tx\treject_id\n\"A,\"\"x\"\"\0\xff\nB\"\t\t7\n=1\t\t8",
        ] {
            let file = file_of(text);
            let mut mended = MendedFile::open(file.path()).unwrap();
            let expected = [record(7, b"A,\"x\"\0\xff\nB"), record(8, b"=1")];
            assert_eq!(mended.next_slice().unwrap(), expected);
            assert!(mended.next_slice().unwrap().is_empty());
            assert_eq!(MendedFile::check(file.path()).unwrap(), [7, 8]);
        }
    }

    #[test]
    fn what_is_no_export_is_refused() {
        for (text, why) in [
            (&b"id,record\n1,x\n"[..], "no columns"),
            (b"", "no columns"),
            (b"reject_id,record\n1,x\nx,y\n", "line 3: \"x\" is no reject_id"),
            (b"reject_id,record\n1,x\n2,y\n1,z\n", "reject 1 is there twice"),
            (b"reject_id,record\n1\n", "line: 2"),
        ] {
            let error = MendedFile::check(file_of(text).path()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn every_record_has_its_own_fate() {
        let column = |name: &str, at| MappedColumn {
            name: name.to_owned(),
            source: FieldSource::Field(at),
            kind: if at == 0 { ValueKind::Word } else { ValueKind::Float },
            rewrite: None,
            time: None,
            required: true,
        };
        let mapping = Mapping {
            dataset: "bars".to_owned(),
            columns: vec![column("symbol", 0), column("close", 1)],
            time_column: None,
            from_us: None,
            to_us: None,
            quirks: Quirks::default(),
            nulls: Vec::new(),
        };
        let shape = TextShape {
            delimiter: b',',
            quote: b'"',
            head_lines: 2,
            header: None,
            header_bytes: b"symbol,close".to_vec(),
            fields_min: 2,
            fields_max: 2,
            nulls: Vec::new(),
        };
        let texts: [&[u8]; 9] = [
            b"A,1\r\n",
            b"A,x",
            b"A,2\nB,3",
            b"\"A\nB\",4",
            b"",
            b"symbol,close",
            b"A,\"5",
            b"A,\x006",
            b"B,7",
        ];
        let records = (0..).zip(texts).map(|(id, text)| Record { id, bytes: text.to_vec() });
        let mut reader = RecordReader::new(&mapping, &shape).unwrap();
        let read = reader.read(&records.collect::<Vec<_>>()).unwrap();
        assert_eq!(read.ids, [0, 3, 8]);
        assert_eq!((read.batch.root.num_rows(), read.batch.rejects.len()), (3, 0));
        assert_eq!(read.batch.places.iter().map(|place| place.row).collect::<Vec<_>>(), [0, 1, 2]);
        let bad: Vec<(i64, &str)> =
            read.bad.iter().map(|bad| (bad.id, bad.rule.as_str())).collect();
        let expected = [
            (1, "bad_number"),
            (2, "several_records"),
            (4, "no_record"),
            (5, "no_record"),
            (6, "unterminated_quote"),
            (7, "nul_byte"),
        ];
        assert_eq!(bad, expected);
        assert!(reader.read(&[]).unwrap().ids.is_empty());
    }
}
