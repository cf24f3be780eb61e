//! Statements that the server cancelled (SQLSTATE 57014): a batch whose statement ran into
//! `statement_timeout` is done once more with twice the time, in its own transaction only. Called
//! by the rungs when they begin a transaction and when one failed; other errors are not its affair.

use std::time::Duration;

use super::WriteError;
use crate::db::Connection;

/// What a batch knows of statements that were cancelled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timeout {
    /// `statement_timeout` of the next attempts, in milliseconds, once one was cancelled.
    raised_ms: Option<u64>,
    cancelled: bool,
}

impl Timeout {
    /// Gives the transaction that was just begun its time.
    pub async fn apply(self, db: &Connection) -> Result<(), WriteError> {
        if let Some(ms) = self.raised_ms {
            db.batch_execute(&format!("SET LOCAL statement_timeout = {ms}")).await?;
        }
        Ok(())
    }

    /// Notes that a statement failed with `error`, on a connection without a transaction. Gives
    /// the error back if trying again may help.
    ///
    /// # Errors
    /// [`WriteError::Cancelled`] if a statement of this batch was cancelled before.
    pub async fn note(
        &mut self,
        db: &Connection,
        error: WriteError,
    ) -> Result<WriteError, WriteError> {
        if !is_cancelled(&error) {
            return Ok(error);
        }
        if self.cancelled {
            let timeout = self.raised_ms.map(Duration::from_millis);
            return Err(WriteError::Cancelled { timeout, cause: Box::new(error) });
        }
        self.cancelled = true;
        let asked = db
            .query_typed_one(
                "SELECT setting::bigint FROM pg_catalog.pg_settings \
                 WHERE name = 'statement_timeout'",
                &[],
            )
            .await;
        // Without a timeout it was somebody's doing.
        let set_ms = asked.map_or(0, |row| row.get::<_, i64>(0).max(0) as u64);
        self.raised_ms = (set_ms > 0).then(|| set_ms.saturating_mul(2).min(i32::MAX as u64));
        Ok(error)
    }
}

fn is_cancelled(error: &WriteError) -> bool {
    matches!(error, WriteError::Db(error) if error.sqlstate() == Some("57014"))
}
