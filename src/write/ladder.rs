//! The ladder: one portion, from claim to commit. COPY of the whole batch first; what it refuses
//! goes down: staged and merged where keys are stored already, sifted where rows are at fault, and
//! what the server refuses row by row goes into the reject table. Decisions are made on SQLSTATE
//! alone; what may pass later is tried again with growing pauses up to one deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rand::RngExt;

use super::copy::copy_rows;
use super::sift::{Probe, sift};
use super::stage::Merged;
use super::{Job, LadderCounters, RetryPolicy, Target, WriteError, order, reject, stage, tick};
use crate::batch::Reject;
use crate::count::{Counts, TableCounts};
use crate::db::ledger::{self, Portion};
use crate::db::{Connection, Database};
use crate::encode::Encoder;
use crate::error::Class;
use crate::limit::{BACKOFF_FIRST_MS, BACKOFF_LAST_MS, COPY_MESSAGE_BYTES, LOCK_TIMEOUT_MS};

/// Rounds of sifting after which rows that still fail are a mystery.
const SIFT_ROUNDS_MAX: u32 = 4;
/// Merges in a row whose counts are not the server's before it is called a miscount.
pub(super) const MERGE_ROUNDS_MAX: u32 = 5;

/// What became of a portion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed now.
    Committed(Counts),
    /// Committed before, by an earlier run, another process, or an attempt whose reply was lost.
    DoneBefore,
    /// Another process is writing it.
    Busy,
}

/// How a batch is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Copy,
    Stage,
}

/// One writer's way to the server.
#[derive(Debug)]
pub struct Ladder {
    database: Database,
    connection: Option<Connection>,
    /// When the server that this pass talks to started. Another value means a restart, after which
    /// acknowledged batches may be lost.
    server_started_at: f64,
    pub(super) buffer: BytesMut,
    pub(super) counters: Arc<LadderCounters>,
    pub(super) retry: RetryPolicy,
}

impl Ladder {
    /// A ladder that connects when it is first used.
    pub fn new(
        database: Database,
        server_started_at: f64,
        counters: Arc<LadderCounters>,
        retry: RetryPolicy,
    ) -> Self {
        let buffer = BytesMut::with_capacity(COPY_MESSAGE_BYTES);
        Self { database, connection: None, server_started_at, buffer, counters, retry }
    }

    /// Writes one portion, whatever it takes.
    ///
    /// # Errors
    /// What retrying cannot help, [`WriteError::Deadline`] when it took too long, and
    /// [`WriteError::Restarted`] when the server started anew.
    pub async fn write(&mut self, target: &Target, job: &mut Job) -> Result<Outcome, WriteError> {
        let mut pause = Pause::new(self.retry.deadline);
        let mut rung = if target.stage_first() { Rung::Stage } else { Rung::Copy };
        let mut rounds = 0;
        if target.mostly_bad.load(Ordering::Relaxed) && job.order.len() > 1 {
            self.sift_out(target, job, Probe::Target, &mut rounds).await?;
        }
        loop {
            let error = match self.attempt(target, job, rung).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            self.roll_back().await;
            match error.class() {
                Class::Stop => return Err(error),
                Class::UseInsert if rung == Rung::Copy => rung = Rung::Stage,
                Class::UseInsert => return Err(error),
                Class::StepDown if rung == Rung::Copy && meets_stored_key(target, &error) => {
                    target.meets_stored.store(true, Ordering::Relaxed);
                    rung = Rung::Stage;
                }
                Class::StepDown => {
                    let probe = Probe::for_error(target, &error);
                    if !self.sift_out(target, job, probe, &mut rounds).await? {
                        return Err(error);
                    }
                }
                Class::Redo | Class::Reconnect => {
                    tick(&self.counters.retries);
                    pause.wait(error).await?;
                }
            }
        }
    }

    /// Finds the rows at fault and takes them out. `false`: none was found.
    pub(super) async fn sift_out(
        &mut self,
        target: &Target,
        job: &mut Job,
        probe: Probe,
        rounds: &mut u32,
    ) -> Result<bool, WriteError> {
        *rounds += 1;
        if *rounds > SIFT_ROUNDS_MAX {
            return Ok(false);
        }
        let rows = job.order.len();
        let mut pause = Pause::new(self.retry.deadline);
        let mut probe = probe;
        loop {
            let found = self.sift_once(target, job, probe).await;
            match found {
                Ok(faults) if faults.is_empty() && probe == Probe::Copy => probe = Probe::Target,
                Ok(faults) => {
                    target.mostly_bad.store(faults.len() * 2 > rows, Ordering::Relaxed);
                    let any = !faults.is_empty();
                    job.refuse(target, faults)?;
                    return Ok(any);
                }
                Err(error) => {
                    self.roll_back().await;
                    match error.class() {
                        Class::Redo | Class::Reconnect => {
                            tick(&self.counters.retries);
                            pause.wait(error).await?;
                        }
                        // The copy of the table cannot be made: the table itself can be asked.
                        _ if probe == Probe::Copy => probe = Probe::Target,
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    async fn sift_once(
        &mut self,
        target: &Target,
        job: &Job,
        probe: Probe,
    ) -> Result<Vec<crate::batch::Fault>, WriteError> {
        let counters = Arc::clone(&self.counters);
        let mut buffer = std::mem::take(&mut self.buffer);
        let encoders = encoders(target, job)?;
        let db = self.connection().await?;
        let faults = sift(db, target, job, &encoders, &mut buffer, &counters, probe).await;
        self.buffer = buffer;
        faults
    }

    /// One transaction: claim, write, record, commit.
    async fn attempt(
        &mut self,
        target: &Target,
        job: &Job,
        rung: Rung,
    ) -> Result<Outcome, WriteError> {
        let counters = Arc::clone(&self.counters);
        let mut buffer = std::mem::take(&mut self.buffer);
        let db = self.connection().await?;
        let outcome = attempt_on(db, target, job, rung, &counters, &mut buffer).await;
        self.buffer = buffer;
        outcome
    }

    pub(super) async fn connection(&mut self) -> Result<&Connection, WriteError> {
        if self.connection.as_ref().is_some_and(|connection| connection.is_closed()) {
            self.connection = None;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = self.database.connect().await?;
                let server = connection.server().await?;
                if (server.started_at - self.server_started_at).abs() > 0.001 {
                    return Err(WriteError::Restarted);
                }
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Leaves no transaction open; a connection that cannot do that is given up.
    pub(super) async fn roll_back(&mut self) {
        if let Some(connection) = &self.connection
            && (connection.is_closed() || connection.batch_execute("ROLLBACK").await.is_err())
        {
            self.connection = None;
        }
    }
}

/// A unique violation where a key can conflict: whether it is this key's, the merge will show.
fn meets_stored_key(target: &Target, error: &WriteError) -> bool {
    let WriteError::Db(error) = error else { return false };
    !target.key.is_empty() && error.sqlstate() == Some("23505")
}

pub(super) fn encoders(target: &Target, job: &Job) -> Result<Vec<Encoder>, WriteError> {
    let root = (job.batch.root.schema_ref(), &target.root().columns);
    let children = job.batch.children.iter();
    let children =
        children.map(|child| (child.rows.schema_ref(), &target.tables[child.table].columns));
    std::iter::once(root)
        .chain(children)
        .map(|(schema, columns)| Ok(Encoder::new(schema, columns)?))
        .collect()
}

async fn attempt_on(
    db: &Connection,
    target: &Target,
    job: &Job,
    rung: Rung,
    counters: &LadderCounters,
    buffer: &mut BytesMut,
) -> Result<Outcome, WriteError> {
    if !ledger::begin_portion(db, &job.key, LOCK_TIMEOUT_MS).await? {
        return Ok(Outcome::Busy);
    }
    let mut portion = Portion {
        key: job.key.clone(),
        run_id: job.run_id,
        span: job.batch.span,
        counts: job.expected(),
        tables: expected_tables(target, job),
    };
    if !ledger::claim(db, &portion).await? {
        db.batch_execute("ROLLBACK").await?;
        return Ok(Outcome::DoneBefore);
    }
    if !job.order.is_empty() {
        let encoders = encoders(target, job)?;
        match rung {
            Rung::Copy => copy_all(db, target, job, &encoders, buffer).await?,
            Rung::Stage => {
                let mut round = 0;
                while !staged(db, target, job, &encoders, buffer, counters, &mut portion).await? {
                    round += 1;
                    if round == MERGE_ROUNDS_MAX {
                        return Err(miscount(target, "merging inserts fewer rows than are new"));
                    }
                    db.batch_execute("ROLLBACK").await?;
                    if !ledger::begin_portion(db, &job.key, LOCK_TIMEOUT_MS).await? {
                        return Ok(Outcome::Busy);
                    }
                    if !ledger::claim(db, &portion).await? {
                        db.batch_execute("ROLLBACK").await?;
                        return Ok(Outcome::DoneBefore);
                    }
                }
            }
        }
    }
    reject::record(db, job, &job.batch.rejects).await?;
    db.batch_execute("COMMIT").await?;
    if rung == Rung::Copy && !job.order.is_empty() {
        tick(&counters.copy_batches);
    }
    Ok(Outcome::Committed(portion.counts))
}

fn expected_tables(target: &Target, job: &Job) -> BTreeMap<String, TableCounts> {
    let mut tables = BTreeMap::new();
    for (at, table) in target.tables.iter().enumerate() {
        let inserted = sent_rows(job, at).len() as u64;
        let counts = TableCounts { inserted, ..TableCounts::default() };
        tables.insert(table.table.display_name(), counts);
    }
    tables
}

/// Positions of the rows of table number `at` that are sent.
fn sent_rows(job: &Job, at: usize) -> std::borrow::Cow<'_, [u32]> {
    match at.checked_sub(1).map(|at| job.batch.children.get(at)) {
        None => (&job.order).into(),
        Some(None) => Vec::new().into(),
        Some(Some(child)) => {
            order::children_of(&child.root_of, &job.order, job.batch.root.num_rows()).into()
        }
    }
}

pub(super) fn miscount(target: &Target, message: impl Into<String>) -> WriteError {
    WriteError::Miscount { table: target.root().table.display_name(), message: message.into() }
}

/// The first rung: every table by COPY; the server's count must be what was sent.
async fn copy_all(
    db: &Connection,
    target: &Target,
    job: &Job,
    encoders: &[Encoder],
    buffer: &mut BytesMut,
) -> Result<(), WriteError> {
    for (at, (table, encoder)) in target.tables.iter().zip(encoders).enumerate() {
        let sql = format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            table.table.sql_name(),
            table.column_list("")
        );
        let rows = sent_rows(job, at);
        let batch = match at {
            0 => &job.batch.root,
            _ => &job.batch.children[at - 1].rows,
        };
        let copied = copy_rows(db, &sql, encoder, batch, &rows, buffer).await?;
        if copied != rows.len() as u64 {
            return Err(miscount(target, format!("{} rows sent, {copied} stored", rows.len())));
        }
    }
    Ok(())
}

/// Stages and merges. `false`: the counts were disturbed by somebody else, to be done again.
async fn staged(
    db: &Connection,
    target: &Target,
    job: &Job,
    encoders: &[Encoder],
    buffer: &mut BytesMut,
    counters: &LadderCounters,
    portion: &mut Portion,
) -> Result<bool, WriteError> {
    let Some(merged) = move_rows(db, target, job, encoders, buffer, counters).await? else {
        return Ok(false);
    };
    let met_any = merged.duplicate + merged.updated > 0 || !merged.refused.is_empty();
    target.meets_stored.store(met_any, Ordering::Relaxed);
    portion.counts = job.expected();
    merged.apply(&mut portion.counts);
    reject::record(db, job, &stored(target, job, &merged)).await?;
    portion.tables = merged.tables;
    ledger::record(db, portion).await?;
    Ok(true)
}

/// Stages a job's rows and moves them into the target. `None`: as [`stage::merge`].
pub(super) async fn move_rows(
    db: &Connection,
    target: &Target,
    job: &Job,
    encoders: &[Encoder],
    buffer: &mut BytesMut,
    counters: &LadderCounters,
) -> Result<Option<Merged>, WriteError> {
    stage::stage(db, target, job, encoders, buffer).await?;
    if !target.key.is_empty() {
        return stage::merge(db, target, job, counters).await;
    }
    let merged = stage::insert_all(db, target, counters).await?;
    if merged.inserted != job.order.len() as u64 {
        let sent = job.order.len();
        return Err(miscount(target, format!("{sent} rows sent, {} stored", merged.inserted)));
    }
    Ok(Some(merged))
}

/// Rejects for the rows whose key is stored, where the policy refuses them.
pub(super) fn stored(target: &Target, job: &Job, merged: &Merged) -> Vec<Reject> {
    let reject = |&row: &usize| {
        let table = target.root().table.display_name();
        let reason = format!("{table} holds a row with this key");
        let reject = job.batch.reject(row, "duplicate_key", None, reason);
        Reject { sqlstate: Some("23505".to_owned()), ..reject }
    };
    merged.refused.iter().map(reject).collect()
}

/// Exponential backoff with full jitter and one deadline for all of a batch's retries.
pub(super) struct Pause {
    began: Instant,
    deadline: Duration,
    next_ms: u64,
}

impl Pause {
    pub fn new(deadline: Duration) -> Self {
        Self { began: Instant::now(), deadline, next_ms: BACKOFF_FIRST_MS }
    }

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
