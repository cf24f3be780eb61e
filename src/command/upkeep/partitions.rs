//! Partitions ahead of time.

use tokio_postgres::types::Type;

use crate::db::{Doing as _, timescale};

use super::super::CommandError;
use super::{Ahead, Did, Server};

/// As wide as the table's last partition; months where it has none. A day more than a month long,
/// or a month more than a year, is somebody's own partitioning and counts as the wider one.
const WIDTH: &str = "\
SELECT CASE WHEN p.upper - p.lower < interval '2 days' THEN 'day'
            WHEN p.upper - p.lower < interval '32 days' THEN 'month' ELSE 'year' END
FROM tidegate.partitions($1::text::regclass) p
WHERE p.lower > '-infinity' AND p.upper < 'infinity' ORDER BY p.upper DESC LIMIT 1";

/// A part of the way at a time, so that no transaction makes more than 500.
const MAKE: &str = "\
SELECT tidegate.make_partitions($1::text::regclass, $2,
           now() + make_interval(days => $4),
           least(now() + make_interval(days => $5), now() + $3::text::interval)),
       now() + make_interval(days => $5) < now() + $3::text::interval";

/// Days that one transaction makes partitions for, which are at least a day wide.
const DAYS_AT_ONCE: i32 = 400;

/// Makes what is missing of a table's partitions from today on.
pub(super) async fn make(server: &mut Server, ahead: &Ahead) -> Result<Did, CommandError> {
    let table = server.table(&ahead.table).await?;
    if timescale::is_hypertable(server.ready().await?, &table).await? {
        return Ok(Did::skipped("chunks of a hypertable are made as rows come"));
    }
    if table.partitioning.as_ref().is_none_or(|p| p.time_column.is_none()) {
        return Ok(Did::skipped(format!(
            "{} is not partitioned by ranges of time",
            table.display_name()
        )));
    }
    let db = server.ready().await?;
    let (name, doing) =
        (table.sql_name(), || format!("making partitions of {}", table.display_name()));
    let found = db.query_typed_opt(WIDTH, &[(&name, Type::TEXT)]).await.doing(doing())?;
    let width = match found {
        Some(row) => row.try_get::<_, String>(0)?,
        None => "month".to_owned(),
    };
    let (mut parts, mut from) = (0, 0);
    loop {
        let row = db
            .query_typed_one(
                MAKE,
                &[
                    (&name, Type::TEXT),
                    (&width, Type::TEXT),
                    (&ahead.ahead.sql(), Type::TEXT),
                    (&from, Type::INT4),
                    (&(from + DAYS_AT_ONCE), Type::INT4),
                ],
            )
            .await
            .doing(doing())?;
        parts += u64::from(row.try_get::<_, i32>(0)?.unsigned_abs());
        if !row.try_get::<_, bool>(1)? {
            return Ok(Did { parts, ..Did::default() });
        }
        from += DAYS_AT_ONCE;
    }
}
