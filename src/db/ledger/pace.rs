//! How fast loads were: what a plan expects of the next.

use tokio_postgres::types::Type;

use crate::db::{Connection, DbError};

/// What runs that ended well did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Runs that are summed up.
    pub runs: u64,
    /// Bytes of sources that they loaded, decompressed.
    pub bytes: f64,
    /// Seconds that they took.
    pub seconds: f64,
}

impl Pace {
    /// Bytes a second.
    pub fn bytes_per_s(self) -> f64 {
        self.bytes / self.seconds.max(1e-3)
    }
}

/// The latest runs, at most 20, that loaded one of these datasets and at least so many bytes.
/// `None`: there is none.
///
/// # Errors
/// The server's.
pub async fn pace(
    db: &Connection,
    datasets: &[&str],
    bytes_min: i64,
) -> Result<Option<Pace>, DbError> {
    const SQL: &str = "\
SELECT count(*), coalesce(sum(bytes), 0)::float8, coalesce(sum(seconds), 0)::float8
FROM (SELECT sum(c.bytes) AS bytes, extract(epoch FROM r.finished_at - r.started_at) AS seconds
      FROM tidegate.run r
      JOIN tidegate.load l ON l.run_id = r.id AND l.sealed_at <= r.finished_at
      JOIN tidegate.content c ON c.id = l.content_id
      WHERE r.exit_code IN (0, 3) AND c.dataset = ANY ($1)
      GROUP BY r.id HAVING sum(c.bytes) >= $2
      ORDER BY r.id DESC LIMIT 20) recent";
    let row =
        db.query_typed_one(SQL, &[(&datasets, Type::TEXT_ARRAY), (&bytes_min, Type::INT8)]).await?;
    let runs: i64 = row.get(0);
    let (bytes, seconds) = (row.get(1), row.get(2));
    Ok((runs > 0 && seconds > 0.0).then_some(Pace { runs: runs as u64, bytes, seconds }))
}
