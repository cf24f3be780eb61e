//! The ladder: one portion, from claim to commit. COPY of the whole batch first; what it refuses
//! goes down: staged and merged where keys are stored already, sifted where rows are at fault, and
//! what the server refuses row by row goes into the reject table. Decisions are made on SQLSTATE
//! alone; what may pass later is tried again with growing pauses up to one deadline.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;

use super::copy::copy_rows;
use super::patience::{Pause, Timeout};
use super::sift::{Probe, sift};
use super::stage::Merged;
use super::{Job, LadderCounters, RetryPolicy, Target, WriteError, order, reject, stage, tick};
use crate::count::{Counts, TableCounts};
use crate::db::ledger::{self, Portion};
use crate::db::{Connection, Database};
use crate::encode::Encoder;
use crate::error::Class;
use crate::limit::{COPY_MESSAGE_BYTES, COPY_PIECE_ROWS_MIN, COPY_PIECES_MAX, LOCK_TIMEOUT_MS};

/// Rounds of sifting after which rows that still fail are a mystery.
const SIFT_ROUNDS_MAX: u32 = 4;
/// Merges in a row whose counts are not the server's before it is called a miscount.
pub(super) const MERGE_ROUNDS_MAX: u32 = 5;

/// Pieces that met stored keys after which, if little was copied for each, no more are tried.
const PIECES_REFUSED_MAX: usize = 4;
/// Rows copied for each of them that are not little.
const ROWS_FOR_REFUSED: usize = 2_000;
/// One row in so many that meets a stored key makes many.
const MEETS_MANY: u64 = 16;

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
    /// All rows by one COPY.
    Copy,
    /// By a COPY for every few rows; those that meet stored keys are staged.
    Pieces,
    /// All rows staged and merged.
    Stage,
}

/// One writer's way to the server.
#[derive(Debug)]
pub struct Ladder {
    database: Database,
    pub(super) connection: Option<Connection>,
    /// When the server that this pass talks to started. Another value means a restart, after which
    /// acknowledged batches may be lost.
    server_started_at: f64,
    pub(super) buffer: BytesMut,
    pub(super) counters: Arc<LadderCounters>,
    pub(super) retry: RetryPolicy,
    /// Of the batch in hand.
    pub(super) timeout: Timeout,
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
        let (connection, timeout) = (None, Timeout::default());
        Self { database, connection, server_started_at, buffer, counters, retry, timeout }
    }

    /// Writes one portion, whatever it takes.
    ///
    /// # Errors
    /// What retrying cannot help, [`WriteError::Deadline`] when it took too long, and
    /// [`WriteError::Restarted`] when the server started anew.
    pub async fn write(&mut self, target: &Target, job: &mut Job) -> Result<Outcome, WriteError> {
        let mut pause = Pause::new(self.retry.deadline);
        self.timeout = Timeout::default();
        let mut rung = match target.stage_first() {
            true => Rung::Stage,
            false if job.has_parts(target) => Rung::Stage,
            false if target.meets_few.load(Ordering::Relaxed) => Rung::Pieces,
            false => Rung::Copy,
        };
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
                Class::Stop => return Err(self.explain(target, job, error).await),
                Class::UseInsert if rung != Rung::Stage => rung = Rung::Stage,
                Class::UseInsert => return Err(error),
                Class::StepDown if rung == Rung::Copy && meets_stored_key(target, &error) => {
                    rung = Rung::Pieces;
                }
                Class::StepDown => {
                    let probe = Probe::for_error(target, &error);
                    if !self.sift_out(target, job, probe, &mut rounds).await? {
                        return Err(error);
                    }
                }
                Class::Redo | Class::Reconnect => self.pause(&mut pause, error).await?,
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
        // A part of a record looks like a fault to all but a merge.
        let mut probe = if job.has_parts(target) { Probe::Target } else { probe };
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
                        Class::Redo | Class::Reconnect => self.pause(&mut pause, error).await?,
                        // The copy of the table cannot be made: the table itself can be asked.
                        _ if probe == Probe::Copy => probe = Probe::Target,
                        _ => return Err(self.explain(target, job, error).await),
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
        let timeout = self.timeout;
        let db = self.connection().await?;
        db.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
        timeout.apply(db).await?;
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
        let timeout = self.timeout;
        let db = self.connection().await?;
        let how = (rung, timeout);
        let outcome = attempt_on(db, target, job, how, &counters, &mut buffer).await;
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

/// The row, from 0, of a refused COPY that the server was at, if it says so: "COPY t, line 7" in
/// any language. No more than a hint.
fn copied_row(error: &WriteError) -> Option<usize> {
    let WriteError::Db(error) = error else { return None };
    let context = error.server_error()?.as_db_error()?.where_()?;
    row_of_context(context)
}

fn row_of_context(context: &str) -> Option<usize> {
    let (_, line) = context.lines().next_back()?.rsplit_once(", ")?;
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<usize>().ok()?.checked_sub(1)
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
    (rung, timeout): (Rung, Timeout),
    counters: &LadderCounters,
    buffer: &mut BytesMut,
) -> Result<Outcome, WriteError> {
    if !ledger::begin_portion(db, &job.key, LOCK_TIMEOUT_MS).await? {
        return Ok(Outcome::Busy);
    }
    timeout.apply(db).await?;
    let mut portion = Portion {
        key: job.key.clone(),
        run_id: job.run_id,
        span: job.batch.span,
        touched: job.touched(target),
        counts: job.expected(),
        tables: expected_tables(target, job),
    };
    if !ledger::claim(db, &portion).await? {
        db.batch_execute("ROLLBACK").await?;
        return Ok(Outcome::DoneBefore);
    }
    if !job.order.is_empty() {
        let encoders = encoders(target, job)?;
        let filling = Filling { db, target, job, encoders: &encoders, counters };
        let mut round = 0;
        while !filling.fill(rung, buffer, &mut portion).await? {
            round += 1;
            if round == MERGE_ROUNDS_MAX {
                return Err(miscount(target, "merging inserts fewer rows than are new"));
            }
            db.batch_execute("ROLLBACK").await?;
            if !ledger::begin_portion(db, &job.key, LOCK_TIMEOUT_MS).await? {
                return Ok(Outcome::Busy);
            }
            timeout.apply(db).await?;
            if !ledger::claim(db, &portion).await? {
                db.batch_execute("ROLLBACK").await?;
                return Ok(Outcome::DoneBefore);
            }
        }
    }
    reject::record_all(db, job).await?;
    reject::record_merged(db, job).await?;
    db.batch_execute("COMMIT").await?;
    if rung == Rung::Copy && !job.order.is_empty() {
        tick(&counters.copy_batches);
    }
    let mut counts = Counts::default();
    portion.counts.iter().for_each(|of_load| counts += *of_load);
    Ok(Outcome::Committed(counts))
}

/// One attempt to bring a job's rows into the target, inside its transaction.
struct Filling<'a> {
    db: &'a Connection,
    target: &'a Target,
    job: &'a Job,
    encoders: &'a [Encoder],
    counters: &'a LadderCounters,
}

impl Filling<'_> {
    /// `false`: the counts were disturbed by somebody else, to be done again.
    async fn fill(
        &self,
        rung: Rung,
        buffer: &mut BytesMut,
        portion: &mut Portion,
    ) -> Result<bool, WriteError> {
        let (copied, left) = match rung {
            Rung::Copy => {
                self.copy(&self.job.order, buffer).await?;
                return Ok(true);
            }
            Rung::Pieces => self.copy_pieces(buffer).await?,
            Rung::Stage => (Vec::new(), self.job.order.clone()),
        };
        self.stage(&copied, &left, buffer, portion).await
    }

    /// Every table by COPY; the server's count must be what was sent.
    async fn copy(&self, roots: &[u32], buffer: &mut BytesMut) -> Result<(), WriteError> {
        for (at, (table, encoder)) in self.target.tables.iter().zip(self.encoders).enumerate() {
            let sql = format!(
                "COPY {} ({}) FROM STDIN (FORMAT binary)",
                table.table.sql_name(),
                table.column_list("")
            );
            let rows = sent_rows(self.job, at, roots);
            let batch = match at {
                0 => &self.job.batch.root,
                _ => &self.job.batch.children[at - 1].rows,
            };
            let copied = copy_rows(self.db, &sql, encoder, batch, &rows, buffer).await?;
            if copied != rows.len() as u64 {
                let message = format!("{} rows sent, {copied} stored", rows.len());
                return Err(miscount(self.target, message));
            }
        }
        Ok(())
    }

    /// Copies piece by piece, so that a stored key costs its piece and not the batch; where the
    /// server names the row that met it, little more than the row. Returns the roots that were
    /// copied, and those that met stored keys or were not tried.
    async fn copy_pieces(&self, buffer: &mut BytesMut) -> Result<(Vec<u32>, Vec<u32>), WriteError> {
        let order = &self.job.order;
        let piece_rows = order.len().div_ceil(COPY_PIECES_MAX).max(COPY_PIECE_ROWS_MIN);
        let (mut copied, mut left) = (Vec::with_capacity(order.len()), Vec::new());
        let mut pending: Vec<&[u32]> = order.chunks(piece_rows).rev().collect();
        let mut refused = 0;
        while let Some(piece) = pending.pop() {
            if refused >= PIECES_REFUSED_MAX && copied.len() < refused * ROWS_FOR_REFUSED {
                left.extend_from_slice(piece);
                continue;
            }
            self.db.batch_execute("SAVEPOINT piece").await?;
            match self.copy(piece, buffer).await {
                Ok(()) => {
                    self.db.batch_execute("RELEASE SAVEPOINT piece").await?;
                    copied.extend_from_slice(piece);
                }
                Err(error) if meets_stored_key(self.target, &error) => {
                    let back = "ROLLBACK TO SAVEPOINT piece; RELEASE SAVEPOINT piece";
                    self.db.batch_execute(back).await?;
                    refused += 1;
                    // A hint: one that leads astray costs time, for what is left is merged.
                    let row = copied_row(&error).filter(|&row| row < piece.len());
                    match row.filter(|_| self.target.tables.len() == 1) {
                        Some(row) => {
                            // A few rows before it are not worth a COPY of their own.
                            let before = if row < COPY_PIECE_ROWS_MIN { 0 } else { row };
                            left.extend_from_slice(&piece[before..=row]);
                            let parts = [&piece[row + 1..], &piece[..before]];
                            pending.extend(parts.into_iter().filter(|part| !part.is_empty()));
                        }
                        None => left.extend_from_slice(piece),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok((copied, left))
    }

    /// Stages and merges the roots `left`; `copied` are in the target already.
    async fn stage(
        &self,
        copied: &[u32],
        left: &[u32],
        buffer: &mut BytesMut,
        portion: &mut Portion,
    ) -> Result<bool, WriteError> {
        let Self { db, target, job, encoders, counters } = *self;
        let mut merged = Merged::default();
        if !left.is_empty() {
            match move_rows(db, target, job, left, encoders, buffer, counters).await? {
                Some(moved) => merged = moved,
                None => return Ok(false),
            }
        }
        let met = merged.duplicate + merged.updated + merged.refused.len() as u64;
        // Pieces pay while most of them meet no stored key.
        let many = met * MEETS_MANY > job.order.len() as u64 && left.len() * 2 > job.order.len();
        target.meets_stored.store(many, Ordering::Relaxed);
        target.meets_few.store(met > 0, Ordering::Relaxed);
        if !copied.is_empty() {
            tick(&counters.copy_batches);
            merged.inserted += copied.len() as u64;
            for (at, table) in target.tables.iter().enumerate() {
                merged.table(table).inserted += sent_rows(job, at, copied).len() as u64;
            }
        }
        portion.counts = merged.counts(target, job)?;
        reject::record(db, job, &reject::stored(target, job, &merged)).await?;
        portion.tables = merged.tables;
        ledger::record(db, portion).await?;
        Ok(true)
    }
}

fn expected_tables(target: &Target, job: &Job) -> BTreeMap<String, TableCounts> {
    let mut tables = BTreeMap::new();
    for (at, table) in target.tables.iter().enumerate() {
        let inserted = sent_rows(job, at, &job.order).len() as u64;
        let counts = TableCounts { inserted, ..TableCounts::default() };
        tables.insert(table.table.display_name(), counts);
    }
    tables
}

/// Positions of the rows of table number `at` that are sent with some roots.
fn sent_rows<'a>(job: &Job, at: usize, roots: &'a [u32]) -> Cow<'a, [u32]> {
    match at.checked_sub(1).map(|at| job.batch.children.get(at)) {
        None => roots.into(),
        Some(None) => Vec::new().into(),
        Some(Some(child)) => {
            order::children_of(&child.root_of, roots, job.batch.root.num_rows()).into()
        }
    }
}

pub(super) fn miscount(target: &Target, message: impl Into<String>) -> WriteError {
    WriteError::Miscount { table: target.root().table.display_name(), message: message.into() }
}

/// Stages some of a job's roots and moves them into the target. `None`: as [`stage::merge`].
pub(super) async fn move_rows(
    db: &Connection,
    target: &Target,
    job: &Job,
    roots: &[u32],
    encoders: &[Encoder],
    buffer: &mut BytesMut,
    counters: &LadderCounters,
) -> Result<Option<Merged>, WriteError> {
    stage::stage(db, target, job, roots, encoders, buffer).await?;
    if !target.key.is_empty() {
        return stage::merge(db, target, job, counters).await;
    }
    let merged = stage::insert_all(db, target, counters).await?;
    if merged.inserted != roots.len() as u64 {
        let sent = roots.len();
        return Err(miscount(target, format!("{sent} rows sent, {} stored", merged.inserted)));
    }
    Ok(Some(merged))
}

#[cfg(test)]
mod tests {
    use super::row_of_context;

    #[test]
    fn the_row_of_a_refused_copy_is_read_in_any_language() {
        assert_eq!(row_of_context("COPY day_1, line 70"), Some(69));
        assert_eq!(row_of_context("COPY a, b 7, Zeile 1"), Some(0));
        assert_eq!(row_of_context("SQL function f\nCOPY t, 12 行"), Some(11));
        assert_eq!(row_of_context("COPY t, line 0"), None);
        assert_eq!(row_of_context("COPY t9"), None);
        assert_eq!(row_of_context(""), None);
    }
}
