//! What `gaps` reads: series by series, a page at a time, by the key of the table.

use tokio_postgres::types::Type;

use crate::db::{Connection, DbError, Doing as _};
use crate::limit::GAPS_PAGE_ROWS;

const DOING: &str = "looking for gaps";

/// A ticker.
#[derive(Debug, Clone)]
pub(super) struct Ticker {
    pub id: i32,
    pub symbol: String,
    pub venue: String,
}

/// What there is of a ticker and interval in a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub bars: u64,
    pub first_us: i64,
    pub last_us: i64,
    /// Whether any bar begins on a Saturday, or on a Sunday before 12:00, UTC.
    pub weekends: bool,
}

/// Whether the tables are there.
pub(super) async fn has_tables(db: &Connection) -> Result<bool, DbError> {
    let sql = "SELECT to_regclass('public.market_data') IS NOT NULL \
               AND to_regclass('public.tickers') IS NOT NULL";
    Ok(db.query_typed_one(sql, &[]).await.doing(DOING)?.get(0))
}

/// Some tickers, in the order of their ids, after one of them; of one symbol only, if it is given.
pub(super) async fn tickers(
    db: &Connection,
    after: i32,
    symbol: Option<&str>,
) -> Result<Vec<Ticker>, DbError> {
    let rows = db
        .query_typed(
            "SELECT id, symbol, venue FROM public.tickers \
             WHERE id > $1 AND ($2::text IS NULL OR symbol = $2) ORDER BY id LIMIT $3",
            &[(&after, Type::INT4), (&symbol, Type::TEXT), (&(GAPS_PAGE_ROWS as i64), Type::INT8)],
        )
        .await
        .doing(DOING)?;
    let ticker = |row: &tokio_postgres::Row| Ticker {
        id: row.get(0),
        symbol: row.get(1),
        venue: row.get(2),
    };
    Ok(rows.iter().map(ticker).collect())
}

/// The next interval of a ticker in the order of their words: each by one look into the index.
pub(super) async fn next_interval(
    db: &Connection,
    ticker: i32,
    after: &str,
) -> Result<Option<String>, DbError> {
    let row = db
        .query_typed_one(
            "SELECT min(\"interval\") FROM public.market_data \
             WHERE ticker_id = $1 AND \"interval\" > $2",
            &[(&ticker, Type::INT4), (&after, Type::TEXT)],
        )
        .await
        .doing(DOING)?;
    Ok(row.get(0))
}

/// A range of times, `[from_us, to_us)`, in microseconds from 1970, as the server takes it.
fn range(from_us: Option<i64>, to_us: Option<i64>) -> (String, String) {
    let text = |us: Option<i64>, open: &str| {
        let instant = us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        instant.map_or_else(|| open.to_owned(), |instant| instant.to_string())
    };
    (text(from_us, "-infinity"), text(to_us, "infinity"))
}

/// What there is of a series. `None`: nothing.
pub(super) async fn extent(
    db: &Connection,
    (ticker, interval): (i32, &str),
    (from_us, to_us): (Option<i64>, Option<i64>),
) -> Result<Option<Extent>, DbError> {
    let (from, to) = range(from_us, to_us);
    let row = db
        .query_typed_one(
            "SELECT count(*), (extract(epoch FROM min(ts)) * 1000000)::bigint, \
                 (extract(epoch FROM max(ts)) * 1000000)::bigint, \
                 coalesce(bool_or(extract(isodow FROM ts AT TIME ZONE 'UTC') = 6 \
                     OR extract(isodow FROM ts AT TIME ZONE 'UTC') = 7 \
                         AND extract(hour FROM ts AT TIME ZONE 'UTC') < 12), false) \
             FROM public.market_data WHERE ticker_id = $1 AND \"interval\" = $2 \
                 AND ts >= $3::text::timestamptz AND ts < $4::text::timestamptz",
            &[
                (&ticker, Type::INT4),
                (&interval, Type::TEXT),
                (&from, Type::TEXT),
                (&to, Type::TEXT),
            ],
        )
        .await
        .doing(DOING)?;
    let (Some(first_us), Some(last_us)) = (row.get(1), row.get(2)) else { return Ok(None) };
    let bars = row.get::<_, i64>(0).max(0) as u64;
    Ok(Some(Extent { bars, first_us, last_us, weekends: row.get(3) }))
}

/// Pairs of neighbouring bars that are further apart than `least_us`, from the bar at `from_us`
/// on, at most a page of them, in order.
pub(super) async fn far_apart(
    db: &Connection,
    (ticker, interval): (i32, &str),
    (from_us, to_us): (i64, Option<i64>),
    least_us: i64,
) -> Result<Vec<(i64, i64)>, DbError> {
    let (from, to) = range(Some(from_us), to_us);
    let rows = db
        .query_typed(
            "SELECT (extract(epoch FROM before) * 1000000)::bigint, \
                 (extract(epoch FROM ts) * 1000000)::bigint \
             FROM (SELECT ts, lag(ts) OVER (ORDER BY ts) AS before FROM public.market_data \
                   WHERE ticker_id = $1 AND \"interval\" = $2 \
                       AND ts >= $3::text::timestamptz AND ts < $4::text::timestamptz) neighbours \
             WHERE ts - before > $5::bigint * interval '1 microsecond' ORDER BY ts LIMIT $6",
            &[
                (&ticker, Type::INT4),
                (&interval, Type::TEXT),
                (&from, Type::TEXT),
                (&to, Type::TEXT),
                (&least_us, Type::INT8),
                (&(GAPS_PAGE_ROWS as i64), Type::INT8),
            ],
        )
        .await
        .doing(DOING)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
