//! Replaying: rows of mended records enter their table, and the rejects that they were leave the
//! list of open ones, in one transaction: so a record that is replayed twice is loaded once. The
//! rules are the ladder's, without its first rung. Called by `rejects replay`; changes no portion.

use std::collections::BTreeMap;

use bytes::BytesMut;
use tokio_postgres::types::Type;

use super::ladder::{MERGE_ROUNDS_MAX, encoders, miscount, move_rows};
use super::patience::{Pause, Timeout};
use super::sift::Probe;
use super::{Job, Ladder, LadderCounters, Target, WriteError, reject};
use crate::batch::Reject;
use crate::db::{Connection, ledger};
use crate::error::Class;
use crate::limit::LOCK_TIMEOUT_MS;

/// Mended records of one load.
#[derive(Debug)]
pub struct Mended {
    /// Their rows. A record's ordinal in its batch is its position in `ids`.
    pub job: Job,
    /// The reject that each record was.
    pub ids: Vec<i64>,
    /// Rejects that are resolved without a row: records outside the load's time window.
    pub skipped: Vec<i64>,
}

/// What became of mended records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Rows that the server inserted.
    pub inserted: u64,
    /// Rows that replaced a stored one.
    pub updated: u64,
    /// Records whose key was stored already, or came twice.
    pub duplicate: u64,
    /// The part of `duplicate` with other values.
    pub conflicting: u64,
    /// Rejects that are resolved now, those that were skipped among them.
    pub resolved: u64,
    /// Rejects that stay open, and why.
    pub still_open: Vec<(i64, Reject)>,
}

impl Ladder {
    /// Writes mended records and resolves their rejects. `None`: one of the rejects was resolved
    /// by somebody else meanwhile; nothing was written.
    ///
    /// # Errors
    /// What retrying cannot help, [`WriteError::Deadline`] when it took too long, and
    /// [`WriteError::Restarted`] when the server started anew.
    pub async fn replay(
        &mut self,
        target: &Target,
        mended: &mut Mended,
    ) -> Result<Option<Replayed>, WriteError> {
        let mut pause = Pause::new(self.retry.deadline);
        let mut rounds = 0;
        self.timeout = Timeout::default();
        // What an attempt did whose COMMIT was not answered.
        let mut unanswered = None;
        loop {
            let error = match self.attempt_replay(target, mended, &mut unanswered).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            self.roll_back().await;
            match error.class() {
                Class::Stop if !matches!(error, WriteError::Miscount { .. }) => return Err(error),
                Class::UseInsert => return Err(error),
                // A count that is not the keys': another rule of the table may be at work.
                Class::StepDown | Class::Stop => {
                    let probe = Probe::for_error(target, &error);
                    if !self.sift_out(target, &mut mended.job, probe, &mut rounds).await? {
                        return Err(error);
                    }
                }
                Class::Redo | Class::Reconnect => self.pause(&mut pause, error).await?,
            }
        }
    }

    async fn attempt_replay(
        &mut self,
        target: &Target,
        mended: &Mended,
        unanswered: &mut Option<Replayed>,
    ) -> Result<Option<Replayed>, WriteError> {
        let counters = std::sync::Arc::clone(&self.counters);
        let mut buffer = std::mem::take(&mut self.buffer);
        let timeout = self.timeout;
        let db = self.connection().await?;
        let done = replay_on(db, target, mended, timeout, &counters, &mut buffer, unanswered).await;
        self.buffer = buffer;
        done
    }
}

impl Mended {
    /// The rejects whose records are still good.
    fn ids_of_good(&self) -> Vec<i64> {
        let rows = self.job.batch.places.iter().map(|place| self.ids[place.row as usize]);
        rows.chain(self.skipped.iter().copied()).collect()
    }

    fn with_id(&self, reject: Reject) -> (i64, Reject) {
        (self.ids[reject.row as usize], reject)
    }
}

async fn replay_on(
    db: &Connection,
    target: &Target,
    mended: &Mended,
    timeout: Timeout,
    counters: &LadderCounters,
    buffer: &mut BytesMut,
    unanswered: &mut Option<Replayed>,
) -> Result<Option<Replayed>, WriteError> {
    let job = &mended.job;
    let still_open = job.batch.rejected().map(|reject| mended.with_id(reject));
    let mut replayed = Replayed { still_open: still_open.collect(), ..Replayed::default() };
    let good = mended.ids_of_good();
    if good.is_empty() {
        return Ok(Some(replayed));
    }
    // Without rows the batch need not be of the target's schema.
    let encoders = if job.order.is_empty() { Vec::new() } else { encoders(target, job)? };
    for _ in 0..MERGE_ROUNDS_MAX {
        match claim(db, job.run_id, &good).await? {
            Claim::Open => timeout.apply(db).await?,
            Claim::Resolved { by_us, open } => {
                db.batch_execute("ROLLBACK").await?;
                return Ok(unanswered
                    .take()
                    .filter(|done| by_us == done.resolved && by_us + open == good.len() as u64));
            }
        }
        (replayed.duplicate, replayed.conflicting) = (job.duplicate, job.conflicting);
        let mut tables = BTreeMap::new();
        let mut resolved = good.clone();
        if !job.order.is_empty() {
            let Some(merged) =
                move_rows(db, target, job, &job.order, &encoders, buffer, counters).await?
            else {
                db.batch_execute("ROLLBACK").await?;
                continue;
            };
            (replayed.inserted, replayed.updated) = (merged.inserted, merged.updated);
            replayed.duplicate += merged.duplicate;
            replayed.conflicting += merged.conflicting;
            let refused = reject::stored(target, job, &merged).into_iter();
            let refused: Vec<_> = refused.map(|reject| mended.with_id(reject)).collect();
            resolved.retain(|id| !refused.iter().any(|(refused, _)| refused == id));
            replayed.still_open.extend(refused);
            tables = merged.tables;
        }
        if replayed.inserted + replayed.updated > 0 {
            let table = target.root().table.display_name();
            ledger::touch(db, &table, job.touched(target)).await?;
            ledger::record_replay(db, job.run_id, &tables, job.touched(target)).await?;
        }
        resolve(db, job.run_id, &resolved).await?;
        replayed.resolved = resolved.len() as u64;
        *unanswered = Some(replayed.clone());
        db.batch_execute("COMMIT").await?;
        return Ok(Some(replayed));
    }
    Err(miscount(target, "merging inserts fewer rows than are new"))
}

enum Claim {
    /// All are open, and locked now.
    Open,
    /// Some are not.
    Resolved { by_us: u64, open: u64 },
}

/// Opens the transaction and locks the rejects, so that no other process resolves them.
async fn claim(db: &Connection, run_id: i64, ids: &[i64]) -> Result<Claim, WriteError> {
    db.batch_execute(&format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
         SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"
    ))
    .await?;
    let row = db
        .query_typed_one(
            "SELECT count(*) FILTER (WHERE r.resolved_at IS NULL), \
                 count(*) FILTER (WHERE r.resolved_by = $2) \
             FROM (SELECT resolved_at, resolved_by FROM tidegate.reject \
                   WHERE id = ANY($1) ORDER BY id FOR UPDATE) r",
            &[(&ids, Type::INT8_ARRAY), (&run_id, Type::INT8)],
        )
        .await?;
    let (open, by_us) = (row.get::<_, i64>(0).max(0) as u64, row.get::<_, i64>(1).max(0) as u64);
    if open == ids.len() as u64 {
        return Ok(Claim::Open);
    }
    Ok(Claim::Resolved { by_us, open })
}

/// Resolves open rejects, all of them or none.
async fn resolve(db: &Connection, run_id: i64, ids: &[i64]) -> Result<(), WriteError> {
    let resolved = db
        .execute_typed(
            "UPDATE tidegate.reject SET resolved_at = clock_timestamp(), resolved_by = $2 \
             WHERE id = ANY($1) AND resolved_at IS NULL",
            &[(&ids, Type::INT8_ARRAY), (&run_id, Type::INT8)],
        )
        .await?;
    if resolved == ids.len() as u64 {
        return Ok(());
    }
    Err(WriteError::Miscount {
        table: "tidegate.reject".to_owned(),
        message: format!("{} rejects handled, {resolved} resolved", ids.len()),
    })
}
