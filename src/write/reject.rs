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

async fn insert(db: &Connection, job: &Job, rejects: &[Reject]) -> Result<(), WriteError> {
    let span = &job.batch.span;
    let has_lines = matches!(job.batch.original, Original::Text(_));
    let place = |value: u64| has_lines.then_some(value as i64);
    let window = i32::try_from(span.window).unwrap_or(i32::MAX);
    let mut rows = Vec::with_capacity(rejects.len());
    let (mut lines, mut offsets, mut lens) = (Vec::new(), Vec::new(), Vec::new());
    for reject in rejects {
        rows.push((span.first_row + u64::from(reject.row)) as i64);
        lines.push(place(span.first_line + u64::from(reject.line)));
        offsets.push(place(span.start + reject.offset));
        lens.push(reject.len as i64);
    }
    let texts = |of: fn(&Reject) -> &str| rejects.iter().map(of).collect::<Vec<_>>();
    let options = |of: fn(&Reject) -> Option<&str>| rejects.iter().map(of).collect::<Vec<_>>();
    let raws: Vec<&[u8]> = rejects.iter().map(|reject| reject.raw.as_slice()).collect();
    db.execute_typed(
        "INSERT INTO tidegate.reject (load_id, window_no, run_id, source, row_no, line_no, \
             byte_offset, byte_len, rule, column_name, sqlstate, reason, raw) \
         SELECT $1, $2, $3, $4, u.* \
         FROM unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], \
             $10::text[], $11::text[], $12::text[], $13::bytea[]) u",
        &[
            (&job.load_id, Type::INT8),
            (&window, Type::INT4),
            (&job.run_id, Type::INT8),
            (&&*job.source, Type::TEXT),
            (&rows, Type::INT8_ARRAY),
            (&lines, Type::INT8_ARRAY),
            (&offsets, Type::INT8_ARRAY),
            (&lens, Type::INT8_ARRAY),
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
