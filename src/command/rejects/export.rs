//! `rejects export`: rejects as CSV, one a line, with their original bytes in the last column. A
//! file appears whole or not at all, and nobody but its owner can read it: it may hold a vendor's
//! data. The count of rows is compared with the table's in the same snapshot.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use serde_json::json;
use tokio_postgres::Row;

use crate::db::Connection;
use crate::error::Exit;
use crate::limit::{ADMISSION_S, RECORD_BYTES_MAX};
use crate::report::human;
use crate::source::{Content, ContentReader, Remotes, SourceError, Spooler, find_again};

use super::super::{Access, Answer, CommandError};
use super::{Filter, MATCHES, sheet};

/// The export's columns; `replay` needs the first and the last.
const HEADER: [&str; 8] =
    ["reject_id", "source", "line", "byte", "rule", "column", "reason", "record"];
/// Rejects that are named in a message.
const NAMED_MAX: usize = 10;

pub(super) async fn run(
    access: &Access,
    filter: &Filter,
    out: Option<&Path>,
) -> Result<Answer, CommandError> {
    let db = access.connect_to_ledger().await?;
    let (exported, text) = match out {
        Some(path) => (to_file(db.as_ref(), filter, path).await?, None),
        None => {
            let mut bytes = Vec::new();
            let exported = to_writer(db.as_ref(), filter, &mut bytes, Path::new("-")).await?;
            let text = String::from_utf8(bytes).map_err(|_| {
                CommandError::Refused(
                    "some records are not UTF-8, which this output would change: export them to a \
                     file with --out FILE"
                        .to_owned(),
                )
            })?;
            (exported, Some(text))
        }
    };
    Ok(answer(&exported, out, text))
}

/// What an export did.
#[derive(Debug, Default)]
pub(super) struct Exported {
    /// Rejects in the table that the filter matches.
    pub recorded: u64,
    /// Rejects written.
    pub exported: u64,
    /// Those whose record is not whole: too long to be kept, and the source is another by now.
    pub cut: Vec<i64>,
}

fn answer(exported: &Exported, out: Option<&Path>, text: Option<String>) -> Answer {
    let to = out.map(|path| format!(" to {}", path.display())).unwrap_or_default();
    let mut messages = vec![format!("{} exported{to}", human::plural(exported.exported, "reject"))];
    if !exported.cut.is_empty() {
        let ids: Vec<String> = exported.cut.iter().take(NAMED_MAX).map(i64::to_string).collect();
        messages.push(format!(
            "{} not whole (reject {}{}): too long to be kept, and the source is not what was \
             loaded any more; replay leaves such a record open until it is completed",
            human::plural(exported.cut.len() as u64, "record"),
            ids.join(", "),
            if exported.cut.len() > NAMED_MAX { ", ..." } else { "" }
        ));
    }
    let mut exit = Exit::Done;
    if exported.exported != exported.recorded {
        exit = Exit::Accounts;
        messages.push(format!(
            "{} rejects are recorded but {} were exported; please report this",
            exported.recorded, exported.exported
        ));
    }
    let json = json!({
        "recorded": exported.recorded, "exported": exported.exported, "cut": exported.cut,
        "file": out.map(|path| path.display().to_string()), "csv": text,
    });
    Answer { exit, grid: None, json: Some(json), text, messages }
}

/// Writes an export that takes the path's place once it is whole and on disk.
pub(super) async fn to_file(
    db: Option<&Connection>,
    filter: &Filter,
    path: &Path,
) -> Result<Exported, CommandError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Made with mode 0600, which it keeps.
    let made = tempfile::Builder::new().prefix(".tidegate-rejects-").tempfile_in(folder);
    let mut file = made.map_err(CommandError::file(path))?;
    let exported = to_writer(db, filter, std::io::BufWriter::new(file.as_file_mut()), path).await?;
    file.as_file().sync_all().map_err(CommandError::file(path))?;
    file.persist(path).map_err(|error| CommandError::file(path)(error.error))?;
    let folder = std::fs::File::open(folder).map_err(CommandError::file(folder))?;
    folder.sync_all().map_err(CommandError::file(path))?;
    Ok(exported)
}

async fn to_writer(
    db: Option<&Connection>,
    filter: &Filter,
    out: impl Write,
    path: &Path,
) -> Result<Exported, CommandError> {
    let mut writer = csv::Writer::from_writer(out);
    let failed = |error: csv::Error| CommandError::file(path)(error.into());
    writer.write_record(HEADER).map_err(failed)?;
    let mut exported = Exported::default();
    if let Some(db) = db {
        db.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        exported.recorded = count(db, filter).await?;
        let limit = filter.limit.and_then(|limit| i64::try_from(limit).ok());
        let limit = limit.map(|limit| format!("LIMIT {limit}")).unwrap_or_default();
        let sql = format!(
            "SELECT r.id, r.load_id, r.source, r.line_no, r.byte_offset, r.byte_len, r.rule, \
                 r.column_name, r.reason, r.raw, c.hash \
             FROM tidegate.reject r LEFT JOIN tidegate.load l ON l.id = r.load_id \
                 LEFT JOIN tidegate.content c ON c.id = l.content_id \
             WHERE {MATCHES} ORDER BY r.id {limit}"
        );
        // Row by row as they come: there may be more than memory holds.
        let mut rows = pin!(db.query_typed_raw(&sql, filter.parameters()).await?);
        let mut sources = Sources::new();
        while let Some(row) = rows.try_next().await? {
            write_row(&mut writer, &row, &mut sources, &mut exported).map_err(failed)?;
        }
        db.batch_execute("COMMIT").await?;
    }
    writer.flush().map_err(CommandError::file(path))?;
    Ok(exported)
}

async fn count(db: &Connection, filter: &Filter) -> Result<u64, CommandError> {
    let sql = format!("SELECT count(*) FROM tidegate.reject r WHERE {MATCHES}");
    let recorded = db.query_typed_one(&sql, &filter.parameters()).await?.get::<_, i64>(0);
    let recorded = recorded.max(0) as u64;
    Ok(filter.limit.map_or(recorded, |limit| recorded.min(limit)))
}

fn write_row(
    writer: &mut csv::Writer<impl Write>,
    row: &Row,
    sources: &mut Sources,
    exported: &mut Exported,
) -> csv::Result<()> {
    let id: i64 = row.get("id");
    let kept: &[u8] = row.get("raw");
    let mut record = std::borrow::Cow::Borrowed(kept);
    if let Some(range) = missing_range(row, kept) {
        match sources.read_again(row, range) {
            Some(whole) => record = whole.into(),
            None => exported.cut.push(id),
        }
    }
    let number = |column: &str| row.get::<_, Option<i64>>(column).map(|n| n.to_string());
    let text = |column: &str| row.get::<_, Option<&str>>(column).unwrap_or_default().as_bytes();
    writer.write_field(id.to_string())?;
    writer.write_field(sheet::escape(text("source")))?;
    writer.write_field(number("line_no").unwrap_or_default())?;
    writer.write_field(number("byte_offset").unwrap_or_default())?;
    for column in ["rule", "column_name", "reason"] {
        writer.write_field(sheet::escape(text(column)))?;
    }
    writer.write_field(sheet::escape(&record))?;
    writer.write_record(None::<&[u8]>)?;
    exported.exported += 1;
    Ok(())
}

/// Offset and length of a record that is longer than what is kept of it.
fn missing_range(row: &Row, kept: &[u8]) -> Option<(u64, u64)> {
    let len = u64::try_from(row.get::<_, i64>("byte_len")).ok()?;
    let offset = row.get::<_, Option<i64>>("byte_offset")?;
    (len > kept.len() as u64).then_some((u64::try_from(offset).ok()?, len))
}

/// Source files that records are read from again, if they still have the same content.
#[derive(Debug)]
struct Sources {
    /// By load; `None`: it is gone or another.
    known: HashMap<i64, Option<Content>>,
    spooler: Spooler,
    remotes: Remotes,
}

impl Sources {
    fn new() -> Self {
        let remotes = Remotes::new(Duration::from_secs(ADMISSION_S));
        Self { known: HashMap::new(), spooler: Spooler::default(), remotes }
    }

    fn read_again(&mut self, row: &Row, (offset, len): (u64, u64)) -> Option<Vec<u8>> {
        // Longer records are not decoded, so nobody could replay them.
        let len = usize::try_from(len).ok().filter(|&len| len <= RECORD_BYTES_MAX)?;
        let found = self.known.entry(row.get("load_id")).or_insert_with(|| {
            let hash: Option<&[u8]> = row.get("hash");
            find_again(row.get("source"), hash?, &self.remotes, &self.spooler)
        });
        read_range(found.as_ref()?, offset, len).ok().flatten()
    }
}

fn read_range(content: &Content, offset: u64, len: usize) -> Result<Option<Vec<u8>>, SourceError> {
    let fingerprint = content.fingerprint.clone();
    let mut reader = ContentReader::open(&content.location, fingerprint, offset)?;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let missing = len - bytes.len();
        if reader.read_more(&mut bytes, missing)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_content_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let hash = blake3::hash(&bytes);
        let again = |path: &Path, hash: &[u8]| {
            let remotes = Remotes::new(Duration::ZERO);
            find_again(path.to_str().unwrap(), hash, &remotes, &Spooler::default())
        };
        let found = again(&path, hash.as_bytes()).unwrap();
        let range = read_range(&found, 4_000_000, 900_000).unwrap();
        assert_eq!(range.as_deref(), Some(&bytes[4_000_000..4_900_000]));
        assert_eq!(read_range(&found, 4_999_999, 2).unwrap(), None);
        assert!(again(&path, &[0; 32]).is_none());
        assert!(again(&folder.path().join("none"), hash.as_bytes()).is_none());
    }
}
