//! What the ladder does between a failed attempt and the next: it waits longer each time, gives a
//! statement that the server cancelled (57014) twice its time, once, and says more of errors that
//! stop the load. Decides nothing else: what kind of error it is, `db/sqlstate.rs` says.

use std::time::{Duration, Instant};

use rand::RngExt;
use tokio_postgres::types::Type;

use super::{Job, Ladder, Target, WriteError, tick};
use crate::dataset::ConflictPolicy;
use crate::db::Connection;
use crate::limit::{BACKOFF_FIRST_MS, BACKOFF_LAST_MS};

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

impl Ladder {
    /// Waits before what failed is tried again, if that may help.
    pub(super) async fn pause(
        &mut self,
        pause: &mut Pause,
        error: WriteError,
    ) -> Result<(), WriteError> {
        let mut error = error;
        if let Some(connection) = &self.connection {
            error = self.timeout.note(connection, error).await?;
        }
        tick(&self.counters.retries);
        pause.wait(error).await
    }

    /// Says more of an error that stops the load, where its SQLSTATE alone misleads: a right that
    /// is missing and a row that a policy refuses are both 42501.
    pub(super) async fn explain(
        &self,
        target: &Target,
        job: &Job,
        error: WriteError,
    ) -> WriteError {
        let WriteError::Db(cause) = &error else { return error };
        let (Some("42501"), Some(connection)) = (cause.sqlstate(), &self.connection) else {
            return error;
        };
        for table in &target.tables {
            // The policy refuses the row, not the table: the role may insert and update there.
            let asked = connection
                .query_typed_one(
                    "SELECT row_security_active($1) AND has_table_privilege($1, 'SELECT') \
                         AND has_table_privilege($1, 'INSERT') \
                         AND ($2 OR has_table_privilege($1, 'UPDATE'))",
                    &[
                        (&table.table.oid, Type::OID),
                        (&(target.policy != ConflictPolicy::Update), Type::BOOL),
                    ],
                )
                .await;
            if asked.is_ok_and(|row| row.get(0)) {
                return WriteError::RowSecurity {
                    table: table.table.display_name(),
                    source_name: job.source.to_string(),
                    cause: cause.said(),
                };
            }
        }
        error
    }
}

/// Exponential backoff with full jitter and one deadline for all of a batch's retries.
#[derive(Debug)]
pub struct Pause {
    began: Instant,
    deadline: Duration,
    next_ms: u64,
}

impl Pause {
    /// Begins now.
    pub fn new(deadline: Duration) -> Self {
        Self { began: Instant::now(), deadline, next_ms: BACKOFF_FIRST_MS }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// [`WriteError::Deadline`] with `cause` when the deadline is over.
    pub async fn wait(&mut self, cause: WriteError) -> Result<(), WriteError> {
        if self.began.elapsed() >= self.deadline {
            let seconds = self.deadline.as_secs();
            return Err(WriteError::Deadline { seconds, cause: Box::new(cause) });
        }
        let left = self.deadline.saturating_sub(self.began.elapsed());
        let jittered = rand::rng().random_range(BACKOFF_FIRST_MS / 2..=self.next_ms);
        tokio::time::sleep(Duration::from_millis(jittered).min(left)).await;
        self.next_ms = (self.next_ms * 2).min(BACKOFF_LAST_MS);
        Ok(())
    }
}
