//! The last rung: what was refused goes into the reject table, in the transaction of its portion.

use tokio_postgres::types::Type;

use super::{Job, WriteError};
use crate::batch::{Original, Reject};
use crate::db::Connection;
use crate::limit::MIB;

/// Original bytes that one INSERT carries.
const RAW_BYTES_PER_INSERT: usize = 8 * MIB;
/// Rejects that one INSERT carries.
const ROWS_PER_INSERT: usize = 5_000;

/// Records all rejects of a job's batch, never more than a slice of them in memory.
pub(super) async fn record_all(db: &Connection, job: &Job) -> Result<(), WriteError> {
    let mut rejects = job.batch.rejected();
    let mut slice = Vec::new();
    loop {
        let mut bytes = 0;
        for reject in rejects.by_ref().take(ROWS_PER_INSERT) {
            bytes += reject.raw.len();
            slice.push(reject);
            if bytes >= RAW_BYTES_PER_INSERT {
                break;
            }
        }
        if slice.is_empty() {
            return Ok(());
        }
        record(db, job, &slice).await?;
        slice.clear();
    }
}

/// Records some rejects of a job's batch.
pub(super) async fn record(
    db: &Connection,
    job: &Job,
    rejects: &[Reject],
) -> Result<(), WriteError> {
    let mut rest = rejects;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest
            .iter()
            .take(ROWS_PER_INSERT)
            .take_while(|reject| {
                bytes += reject.raw.len();
                bytes <= RAW_BYTES_PER_INSERT
            })
            .count()
            .max(1);
        let (now, later) = rest.split_at(fits);
        insert(db, job, now).await?;
        rest = later;
    }
    Ok(())
}

/// Records the rejects of a job of several loads.
pub(super) async fn record_merged(db: &Connection, job: &Job) -> Result<(), WriteError> {
    let Some(origins) = &job.origins else { return Ok(()) };
    for refused in &origins.refused {
        let place = Place {
            load_id: refused.load_id,
            source: &refused.source,
            window: refused.origin.span(),
        };
        let found = &refused.found;
        let rows = Rows {
            rows: vec![found.row as i64],
            lines: vec![found.line.map(|line| line as i64)],
            offsets: vec![found.bytes.map(|(offset, _)| offset as i64)],
            lens: vec![refused.reject.len as i64],
        };
        insert_rows(db, job.run_id, &place, &rows, &[&refused.reject]).await?;
    }
    Ok(())
}

async fn insert(db: &Connection, job: &Job, rejects: &[Reject]) -> Result<(), WriteError> {
    let span = &job.batch.span;
    let has_lines = matches!(job.batch.original, Original::Text(_));
    let place = |value: u64| has_lines.then_some(value as i64);
    let mut rows = Rows::default();
    for reject in rejects {
        rows.rows.push((span.first_row + u64::from(reject.row)) as i64);
        rows.lines.push(place(span.first_line + u64::from(reject.line)));
        rows.offsets.push(place(span.start + reject.offset));
        rows.lens.push(reject.len as i64);
    }
    let place = Place { load_id: job.load_id, source: &job.source, window: span.window };
    insert_rows(db, job.run_id, &place, &rows, &rejects.iter().collect::<Vec<_>>()).await
}

/// What rejects of one INSERT share.
struct Place<'a> {
    load_id: i64,
    source: &'a str,
    window: u32,
}

/// Where each is.
#[derive(Default)]
struct Rows {
    rows: Vec<i64>,
    lines: Vec<Option<i64>>,
    offsets: Vec<Option<i64>>,
    lens: Vec<i64>,
}

async fn insert_rows(
    db: &Connection,
    run_id: i64,
    place: &Place<'_>,
    at: &Rows,
    rejects: &[&Reject],
) -> Result<(), WriteError> {
    let window = i32::try_from(place.window).unwrap_or(i32::MAX);
    let texts = |of: fn(&Reject) -> &str| rejects.iter().map(|r| of(r)).collect::<Vec<_>>();
    let options =
        |of: fn(&Reject) -> Option<&str>| rejects.iter().map(|r| of(r)).collect::<Vec<_>>();
    let raws: Vec<&[u8]> = rejects.iter().map(|reject| reject.raw.as_slice()).collect();
    db.execute_typed(
        "INSERT INTO tidegate.reject (load_id, window_no, run_id, source, row_no, line_no, \
             byte_offset, byte_len, rule, column_name, sqlstate, reason, raw) \
         SELECT $1, $2, $3, $4, u.* \
         FROM unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], \
             $10::text[], $11::text[], $12::text[], $13::bytea[]) u",
        &[
            (&place.load_id, Type::INT8),
            (&window, Type::INT4),
            (&run_id, Type::INT8),
            (&place.source, Type::TEXT),
            (&at.rows, Type::INT8_ARRAY),
            (&at.lines, Type::INT8_ARRAY),
            (&at.offsets, Type::INT8_ARRAY),
            (&at.lens, Type::INT8_ARRAY),
            (&texts(|reject| &reject.rule), Type::TEXT_ARRAY),
            (&options(|reject| reject.column.as_deref()), Type::TEXT_ARRAY),
            (&options(|reject| reject.sqlstate.as_deref()), Type::TEXT_ARRAY),
            (&texts(|reject| &reject.reason), Type::TEXT_ARRAY),
            (&raws, Type::BYTEA_ARRAY),
        ],
    )
    .await?;
    Ok(())
}
