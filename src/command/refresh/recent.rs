//! The index over the last 30 days of bars, rolled forward: one on each partition that has such
//! days, for an index of the parent would have to be built over all history every time. Where a
//! partition is all recent its index never changes; where it is not, the index is built anew once
//! a week, and the old one dropped after. Nobody waits for either.

use tokio_postgres::types::Type;

use crate::column::quote_identifier;
use crate::db::migration::index::{self, IndexStatement};
use crate::db::{Connection, DbError, Doing as _};

/// How much of what is no longer recent an index may hold.
const STALE_DAYS_MAX: i32 = 7;
const SUFFIX: &str = "_recent_";

/// Partitions (or the table itself), whether each has recent rows, the indexes of this kind that it
/// has, and which of them will do: valid, and not too old for a partition that began before.
const SQL: &str = "\
WITH cut AS (SELECT date_trunc('day', now(), 'UTC') - interval '30 days' AS day),
parts AS (
    SELECT p.partition AS oid, p.upper > cut.day AS recent, p.lower
    FROM cut, tidegate.partitions('public.market_data') p
    UNION ALL
    SELECT c.oid, true, '-infinity' FROM pg_catalog.pg_class c
    WHERE c.oid = 'public.market_data'::regclass AND c.relkind = 'r'
      AND NOT tidegate.is_hypertable(c.oid)
)
SELECT n.nspname::text, c.relname::text, p.recent, cut.day::text, to_char(cut.day, 'YYYYMMDD'),
       ARRAY(SELECT x.relname::text FROM pg_catalog.pg_index i
             JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
             WHERE i.indrelid = p.oid AND x.relname ~ '_recent_[0-9]{8}$'
             ORDER BY i.indisvalid, x.relname),
       (SELECT max(x.relname::text) FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
        WHERE i.indrelid = p.oid AND i.indisvalid AND x.relname ~ '_recent_[0-9]{8}$'
          AND (right(x.relname, 8)::date::timestamp AT TIME ZONE 'UTC' <= p.lower
               OR right(x.relname, 8)::date::timestamp AT TIME ZONE 'UTC'
                  >= cut.day - make_interval(days => $1)))
FROM cut, parts p
JOIN pg_catalog.pg_class c ON c.oid = p.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 1, 2";

/// Makes and drops what is needed; says how many of each.
pub(super) async fn roll(db: &Connection) -> Result<(u64, u64), DbError> {
    let rows = db
        .query_typed(SQL, &[(&STALE_DAYS_MAX, Type::INT4)])
        .await
        .doing("looking for indexes of recent bars")?;
    let (mut made, mut dropped) = (0, 0);
    for row in rows {
        let (schema, table): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (recent, day): (bool, &str) = (row.try_get(2)?, row.try_get(3)?);
        let (number, there): (&str, Vec<String>) = (row.try_get(4)?, row.try_get(5)?);
        let mut keep: Option<String> = row.try_get(6)?;
        if !recent {
            keep = None;
        } else if keep.is_none() {
            let start: String = table.chars().take(45).collect();
            let name = format!("{start}{SUFFIX}{number}");
            let statement = IndexStatement {
                name: name.clone(),
                table: format!("{}.{}", quote_identifier(schema), quote_identifier(table)),
                rest: format!(
                    "(ticker_id, \"interval\", ts DESC) \
                     INCLUDE (open, high, low, close, volume) WHERE ts >= '{day}'"
                ),
                unique: false,
            };
            index::build_plain(db, &statement, schema).await?;
            made += 1;
            keep = Some(name);
        }
        for name in there.iter().filter(|&name| keep.as_ref() != Some(name)) {
            let sql = format!(
                "DROP INDEX CONCURRENTLY IF EXISTS {}.{}",
                quote_identifier(schema),
                quote_identifier(name)
            );
            db.batch_execute(&sql).await.doing(format!("dropping index {name}"))?;
            dropped += 1;
        }
    }
    Ok((made, dropped))
}
