//! Archives: a table's rows in a Parquet file, compared with the server's before anything is
//! dropped. Rows are streamed; memory does not depend on how many there are.

mod file;
mod form;
mod place;

use std::path::Path;

use futures_util::TryStreamExt as _;
use tokio_postgres::binary_copy::BinaryCopyOutStream;
use tokio_postgres::types::Type;

use crate::column::{PgType, TargetColumn, TargetTable, quote_identifier};
use crate::db::{Connection, Doing as _, catalog};
use crate::limit::{ARCHIVE_BATCH_BYTES, BATCH_ROWS};

use super::super::CommandError;

pub(super) use file::Sums;
use form::{Builders, Column, Digits, Shape};
pub(super) use place::Place;

/// Identity columns that nothing else than the server may fill.
const IDENTITY: &str = "\
SELECT a.attname::text FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1 AND a.attidentity = 'a' AND NOT a.attisdropped LIMIT 1";

/// An archive that was written, compared with the server, and is in its place.
pub(super) struct Written {
    pub file: String,
    pub bytes: u64,
    pub sums: Sums,
}

/// What an archive of a table holds, and how rows are summed up to compare them with it.
pub(super) struct Archived {
    table: TargetTable,
    shape: Shape,
}

impl Archived {
    /// How the table called `partition` (quoted as SQL needs it) would be archived as it is now.
    pub async fn of(db: &Connection, partition: &str) -> Result<Self, CommandError> {
        let (schema, name) = catalog::parse_table_name(partition)?;
        let table = catalog::load_table(db, schema.as_deref(), &name).await?;
        let table =
            table.ok_or_else(|| CommandError::Refused(format!("there is no table {partition}")))?;
        let row = db.query_typed_opt(IDENTITY, &[(&table.oid, Type::OID)]).await?;
        if let Some(row) = row {
            return Err(refuse(&table, row.try_get(0)?, "GENERATED ALWAYS AS IDENTITY"));
        }
        // What the server computes of the others comes back with them.
        let kept: Vec<&TargetColumn> =
            table.columns.iter().filter(|column| !column.generated).collect();
        let digits = digits(db, &table, &kept).await?;
        let mut columns = Vec::with_capacity(kept.len());
        for (column, digits) in kept.into_iter().zip(digits) {
            let held = Column::new(column, digits);
            columns.push(held.ok_or_else(|| refuse(&table, &column.name, &column.type_name))?);
        }
        if is_of_tickers(db, &table).await? {
            columns.insert(0, Column::symbol());
        }
        Ok(Self { shape: Shape { columns }, table })
    }

    /// Count and sum of the rows as the server has them.
    pub async fn sums(&self, db: &Connection) -> Result<Sums, CommandError> {
        let name = self.table.sql_name();
        let row = db.query_typed_one(&self.shape.sum_sql(&name), &[]).await;
        let row = row.doing(format!("summing up {name}"))?;
        let rows: i64 = row.try_get(0)?;
        Ok(Sums { rows: rows.unsigned_abs(), content: row.try_get(1)? })
    }

    /// Writes all rows to a file called `name` (without an ending), reads it back, compares it with
    /// the server, and puts it in its place, where one of that name is replaced.
    pub async fn write(
        &self,
        db: &Connection,
        place: &Place,
        name: &str,
    ) -> Result<Written, CommandError> {
        let part = place.part(name)?;
        let written = self.write_part(db, part.path()).await;
        let (bytes, sums) = written?;
        let file = place.put(part, name).await?;
        Ok(Written { file, bytes, sums })
    }

    async fn write_part(&self, db: &Connection, path: &Path) -> Result<(u64, Sums), CommandError> {
        let doing = || format!("archiving {}", self.table.display_name());
        // One snapshot for the rows and for their sum.
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        db.batch_execute(begin).await.doing(doing())?;
        let bytes = self.stream(db, path).await?;
        let of_server = self.sums(db).await?;
        db.batch_execute("COMMIT").await.doing(doing())?;
        let of_file = file::sums(path, &self.shape).map_err(|error| failed(path, &error))?;
        if of_file != of_server {
            return Err(CommandError::Refused(format!(
                "{}: the file has {} rows with the sum {}, the table {} with {}: nothing was \
                 dropped; check the disk, and report it if it comes again",
                doing(),
                of_file.rows,
                of_file.content,
                of_server.rows,
                of_server.content
            )));
        }
        Ok((bytes, of_file))
    }

    async fn stream(&self, db: &Connection, path: &Path) -> Result<u64, CommandError> {
        let doing = || format!("reading {}", self.table.display_name());
        let keys: Vec<String> = self.table.key.iter().map(|name| quote_identifier(name)).collect();
        let order = match keys.is_empty() {
            true => String::new(),
            false => format!(" ORDER BY {}", keys.join(", ")),
        };
        let sql = format!(
            "COPY (SELECT {} FROM {}{order}) TO STDOUT (FORMAT binary)",
            self.shape.select_list(),
            self.table.sql_name()
        );
        let copied = db.copy_out(&sql).await.doing(doing())?;
        let mut rows = std::pin::pin!(BinaryCopyOutStream::new(copied, &self.shape.wire_types()));
        let schema = self.shape.schema();
        let at = |error: parquet::errors::ParquetError| failed(path, &error);
        let mut writer = file::ArchiveWriter::create(path, &schema).map_err(at)?;
        let mut builders = Builders::new(&self.shape);
        let wrong = |error: Box<dyn std::error::Error + Send + Sync>| {
            CommandError::Refused(format!("{}: {error}", doing()))
        };
        while let Some(row) = rows.try_next().await.doing(doing())? {
            builders.push(&row).map_err(wrong)?;
            if builders.rows() == BATCH_ROWS || builders.bytes() > ARCHIVE_BATCH_BYTES {
                writer.write(&builders.finish(&schema).map_err(wrong)?).map_err(at)?;
            }
        }
        if builders.rows() > 0 {
            writer.write(&builders.finish(&schema).map_err(wrong)?).map_err(at)?;
        }
        writer.finish().map_err(at)
    }
}

/// Whether its rows are of tickers by number.
async fn is_of_tickers(db: &Connection, table: &TargetTable) -> Result<bool, CommandError> {
    if table.column("ticker_id").is_none() || table.column("symbol").is_some() {
        return Ok(false);
    }
    let sql = "SELECT to_regclass('public.tickers') IS NOT NULL";
    Ok(db.query_typed_one(sql, &[]).await?.try_get(0)?)
}

fn failed(path: &Path, error: &parquet::errors::ParquetError) -> CommandError {
    CommandError::Refused(format!("{}: {error}", path.display()))
}

fn refuse(table: &TargetTable, column: &str, type_name: &str) -> CommandError {
    CommandError::Refused(format!(
        "{} cannot be archived: column {column} is {type_name}, which would not come back the \
         same; leave the archive out, or let it be dropped without one",
        table.display_name()
    ))
}

/// What the numerics need, column by column, in one reading. What is not finite is refused, for
/// loads refuse it.
async fn digits(
    db: &Connection,
    table: &TargetTable,
    columns: &[&TargetColumn],
) -> Result<Vec<Digits>, CommandError> {
    let asked = columns.iter().map(|column| {
        let name = quote_identifier(&column.name);
        match column.pg_type {
            Some(PgType::Numeric(_)) => format!(
                "coalesce(max(scale({name})), 0)::int4, \
                 coalesce(max(length(trunc(abs({name}))::text)) FILTER \
                     (WHERE scale({name}) IS NOT NULL), 0)::int4, \
                 coalesce(bool_or(scale({name}) IS NULL) FILTER (WHERE {name} IS NOT NULL), false)"
            ),
            Some(PgType::Timestamptz | PgType::Timestamp | PgType::Date) => {
                format!("0, 0, coalesce(bool_or(NOT isfinite({name})), false)")
            }
            Some(PgType::Float4 | PgType::Float8) => format!(
                "0, 0, coalesce(bool_or({name} IN ('NaN', 'Infinity', '-Infinity')), false)"
            ),
            _ => "0, 0, false".to_owned(),
        }
    });
    let asked: Vec<String> = asked.collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {} FROM {}", asked.join(", "), table.sql_name());
    let row = db.query_typed_one(&sql, &[]).await;
    let row = row.doing(format!("looking at the numbers of {}", table.display_name()))?;
    let mut all = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let (scale, whole): (i32, i32) = (row.try_get(3 * at)?, row.try_get(3 * at + 1)?);
        if row.try_get(3 * at + 2)? {
            return Err(CommandError::Refused(format!(
                "{} cannot be archived: column {} has values that are not finite, which no load \
                 takes back; mend them, or let it be dropped without an archive",
                table.display_name(),
                column.name
            )));
        }
        all.push(Digits { whole: whole.unsigned_abs(), scale: scale.unsigned_abs() });
    }
    Ok(all)
}
