//! What keeps a database in order between loads: partitions ahead of time, retention, refreshing
//! what is derived, statistics, vacuuming, reindexing. `nightly` runs it after its sources, and
//! `nightly` without sources runs it alone. One action that fails does not stop the others.

mod archive;
mod care;
mod compress;
mod figures;
mod partitions;
mod plan;
mod report;
mod retention;

use std::collections::BTreeSet;
use std::time::Instant;

use crate::column::TargetTable;
use crate::db::{Connection, Database, DbError, catalog};

use super::access::bring_up;
use super::{Access, CommandError, refresh};

pub use plan::{Age, Ahead, Compress, Destination, Refreshed, Retention, UpkeepPlan};
pub use report::{
    Action, Alert, CACHE_HIT_MIN, CONNECTIONS_PART_MAX, DAYS_AHEAD_MIN, Figures, INDEX_SCANS_MIN,
    Outcome, QUERY_MS_MAX, UpkeepReport,
};

/// What an action did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Did {
    /// Why it does not apply here.
    skipped: Option<String>,
    parts: u64,
    rows: u64,
    bytes: u64,
    /// It did something that has no number.
    more: bool,
}

impl Did {
    fn skipped(why: impl Into<String>) -> Self {
        Self { skipped: Some(why.into()), ..Self::default() }
    }

    fn outcome(&self) -> Outcome {
        match &self.skipped {
            Some(why) => Outcome::Skipped(why.clone()),
            None if self.parts + self.rows + self.bytes > 0 || self.more => Outcome::Done,
            None => Outcome::Nothing,
        }
    }
}

/// The database, and a connection to it that is made again if it was lost.
struct Server {
    database: Database,
    db: Connection,
}

impl Server {
    /// A connection without a transaction.
    async fn ready(&mut self) -> Result<&mut Connection, DbError> {
        if self.db.is_closed() || self.db.batch_execute("ROLLBACK").await.is_err() {
            self.db = self.database.connect().await?;
        }
        Ok(&mut self.db)
    }

    /// The table called so, in the schema `public` if it has none.
    async fn table(&mut self, name: &str) -> Result<TargetTable, CommandError> {
        let (schema, bare) = catalog::parse_table_name(name)?;
        let schema = schema.unwrap_or_else(|| "public".to_owned());
        let found = catalog::load_table(self.ready().await?, Some(&schema), &bare).await?;
        found.ok_or_else(|| CommandError::Refused(format!("there is no table {schema}.{bare}")))
    }
}

/// Actions as they come.
#[derive(Default)]
struct Log {
    actions: Vec<Action>,
}

impl Log {
    fn push(
        &mut self,
        kind: &'static str,
        target: impl Into<String>,
        began: Instant,
        done: Result<Did, CommandError>,
    ) {
        let (did, outcome) = match done {
            Ok(did) => {
                let outcome = did.outcome();
                (did, outcome)
            }
            Err(error) => (Did::default(), Outcome::Failed(error.to_string())),
        };
        self.actions.push(Action {
            kind,
            target: target.into(),
            outcome,
            parts: did.parts,
            rows: did.rows,
            bytes: did.bytes,
            elapsed_s: began.elapsed().as_secs_f64(),
        });
    }
}

/// Does what is planned: partitions ahead of time first, for the next load may need them, then
/// retention, so that nothing is refreshed or analysed that goes, and figures at the end. Brings
/// the ledger's tables up if they are behind.
///
/// # Errors
/// When there is no database, or the ledger's tables cannot be made. What an action meets is in
/// the report.
pub async fn run(access: &Access, plan: &UpkeepPlan) -> Result<UpkeepReport, CommandError> {
    let (database, mut db) = access.connect().await?;
    bring_up(&database, &mut db, &BTreeSet::new()).await?;
    let mut server = Server { database, db };
    let mut log = Log::default();
    for ahead in &plan.partitions_ahead {
        let began = Instant::now();
        let done = partitions::make(&mut server, ahead).await;
        log.push("partitions", &ahead.table, began, done);
    }
    retention::finish_begun(&mut server, &mut log).await;
    for retention in &plan.retention {
        retention::run(&mut server, retention, &mut log).await;
    }
    if let Some(kept) = plan.archives_kept {
        let began = Instant::now();
        let done = retention::remove_archives(&mut server, kept).await;
        log.push("archives", "all tables", began, done);
    }
    for compress in &plan.compress {
        let began = Instant::now();
        let done = compress::run(&mut server, compress).await;
        log.push("compress", &compress.table, began, done);
    }
    of_refresh(&mut server, &plan.refresh, &mut log).await;
    care::run(&mut server, plan, &mut log).await;
    let began = Instant::now();
    let figures = match figures::read(&mut server, plan).await {
        Ok(figures) => Some(figures),
        // Alerts that are silent because nothing could be asked must not look like all is well.
        Err(error) => {
            log.push("figures", "server", began, Err(error.into()));
            None
        }
    };
    Ok(UpkeepReport { actions: log.actions, figures })
}

async fn of_refresh(server: &mut Server, which: &Refreshed, log: &mut Log) {
    let names: Vec<String> = match which {
        Refreshed::Nothing => return,
        Refreshed::All => refresh::unasked().map(str::to_owned).collect(),
        Refreshed::Names(names) => names.clone(),
    };
    for name in names {
        let began = Instant::now();
        let done = async { refresh::one(server.ready().await?, &name).await }.await;
        let did = match done {
            Ok(None) if *which == Refreshed::All => continue,
            Ok(None) => Ok(Did::skipped("it is not there: tidegate migrate up makes it")),
            Ok(Some(one)) if one.busy => Ok(Did::skipped("another process is at it")),
            Ok(Some(one)) => {
                Ok(Did { rows: one.written + one.deleted, more: one.changed, ..Did::default() })
            }
            Err(error) => Err(error),
        };
        log.push("refresh", name, began, did);
    }
}
