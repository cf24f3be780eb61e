//! `rejects replay`: the mended records of an export take the way of their load into its table.
//! Each load's rows and the marks on their rejects commit together, at most [`INSERT_ROWS`] at a
//! time; what is still bad stays open as it is recorded, and is shown with what is wrong now.
//!
//! [`INSERT_ROWS`]: crate::limit::INSERT_ROWS

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::ledger::{self, PortionKey};
use crate::db::{Connection, Database};
use crate::error::Exit;
use crate::limit::RETRY_DEADLINE_S;
use crate::pipeline::{PipelineError, prepare};
use crate::write::{
    Job, Ladder, LadderCounters, Mended, Replayed, RetryPolicy, WriteError, resolve_tickers,
};

use super::super::{Access, Answer, CommandError, access};
use super::mended::{MendedFile, Read, Record, StillBad};
use super::no_ledger;
use super::object::Objects;
use super::tally::Tally;
use super::way::Way;

/// Ways of loads that are kept, with the catalogue's word on their tables.
const WAYS_KEPT_MAX: usize = 64;

pub(super) async fn run(access: &Access, path: &Path) -> Result<Answer, CommandError> {
    let ids = MendedFile::check(path)?;
    let (database, db) = access.connect().await?;
    if !access::has_ledger(&db).await? {
        return Err(no_ledger());
    }
    check_known(&db, &ids).await?;
    let run_id = ledger::begin_run(&db, "rejects replay", None).await?;
    let tally = replay(&database, db, path, run_id).await;
    let exit = tally.as_ref().map_or(Exit::Failed, Tally::exit);
    // Another connection: the one that failed may be what failed.
    let ended = match database.connect().await {
        Ok(db) => ledger::end_run(&db, run_id, exit.code()).await,
        Err(error) => Err(error),
    };
    let tally = tally?;
    ended?;
    Ok(tally.answer(run_id, path))
}

/// Refuses ids that the ledger does not have: the file is another database's.
async fn check_known(db: &Connection, ids: &[i64]) -> Result<(), CommandError> {
    for ids in ids.chunks(100_000) {
        let unknown = db
            .query_typed_opt(
                "SELECT u.id FROM unnest($1::bigint[]) u (id) WHERE NOT EXISTS \
                     (SELECT 1 FROM tidegate.reject r WHERE r.id = u.id) ORDER BY 1 LIMIT 1",
                &[(&ids, Type::INT8_ARRAY)],
            )
            .await?;
        if let Some(row) = unknown {
            return Err(CommandError::Refused(format!(
                "this database has no reject {}: replay into the database that the file was \
                 exported from",
                row.get::<_, i64>(0)
            )));
        }
    }
    Ok(())
}

async fn replay(
    database: &Database,
    db: Connection,
    path: &Path,
    run_id: i64,
) -> Result<Tally, CommandError> {
    let retry = RetryPolicy { deadline: Duration::from_secs(RETRY_DEADLINE_S) };
    let started_at = db.server().await?.started_at;
    let ladder =
        Ladder::new(database.clone(), started_at, Arc::new(LadderCounters::default()), retry);
    let mut replay = Replay {
        db,
        ladder,
        run_id,
        ways: HashMap::new(),
        places: HashMap::new(),
        tally: Tally::default(),
    };
    let mut file = MendedFile::open(path)?;
    loop {
        let slice = file.next_slice()?;
        if slice.is_empty() {
            return Ok(replay.tally);
        }
        replay.take(slice).await?;
    }
}

struct Replay {
    db: Connection,
    ladder: Ladder,
    run_id: i64,
    /// By load.
    ways: HashMap<i64, Way>,
    /// Where in its content the record of an open reject is, by reject.
    places: HashMap<i64, i64>,
    tally: Tally,
}

impl Replay {
    /// Replays records of any loads. Those of a load whose rejects changed under us are looked up
    /// again: they are fewer each time.
    async fn take(&mut self, mut records: Vec<Record>) -> Result<(), CommandError> {
        while !records.is_empty() {
            self.places.clear();
            let loads = self.open_by_load(std::mem::take(&mut records)).await?;
            for (load_id, of_load) in loads {
                if !self.replay_load(load_id, &of_load).await? {
                    records.extend(of_load);
                }
            }
        }
        Ok(())
    }

    /// Those of the records whose rejects are open, by load.
    async fn open_by_load(
        &mut self,
        records: Vec<Record>,
    ) -> Result<BTreeMap<i64, Vec<Record>>, CommandError> {
        let ids: Vec<i64> = records.iter().map(|record| record.id).collect();
        let rows = self
            .db
            .query_typed(
                "SELECT r.id, r.load_id, r.resolved_at IS NULL AS open, \
                     coalesce(r.byte_offset, r.row_no - 1) AS place, \
                     CASE WHEN r.byte_offset IS NOT NULL AND r.byte_len > octet_length(r.raw) \
                         THEN r.raw END AS cut \
                 FROM tidegate.reject r WHERE r.id = ANY($1)",
                &[(&ids, Type::INT8_ARRAY)],
            )
            .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            found.insert(row.get::<_, i64>("id"), row);
        }
        let mut loads: BTreeMap<i64, Vec<Record>> = BTreeMap::new();
        for record in records {
            let Some(row) = found.get(&record.id) else { continue };
            if !row.get::<_, bool>("open") {
                self.tally.resolved_before += 1;
            } else if row.get::<_, Option<&[u8]>>("cut") == Some(record.bytes.as_slice()) {
                let reason = "only the beginning of the record was kept: complete it";
                self.tally.open(StillBad::new(record.id, "record_cut", reason));
            } else {
                self.places.insert(record.id, row.get("place"));
                loads.entry(row.get("load_id")).or_default().push(record);
            }
        }
        Ok(loads)
    }

    /// Replays records of one load. `false`: somebody else resolved one of them meanwhile.
    async fn replay_load(
        &mut self,
        load_id: i64,
        records: &[Record],
    ) -> Result<bool, CommandError> {
        if self.ways.len() >= WAYS_KEPT_MAX {
            self.ways.clear();
        }
        let mut way = match self.ways.remove(&load_id) {
            Some(way) => way,
            None => Way::find(&self.db, load_id).await?,
        };
        let (read, bad) = self.read(&mut way, records).await?;
        let replayed = self.write(&mut way, load_id, read).await?;
        self.ways.insert(load_id, way);
        let Some((replayed, skipped)) = replayed else { return Ok(false) };
        bad.into_iter().for_each(|bad| self.tally.open(bad));
        self.tally.add(replayed, skipped);
        Ok(true)
    }

    /// Reads the records by their load's recipe.
    async fn read(
        &mut self,
        way: &mut Way,
        records: &[Record],
    ) -> Result<(Read, Vec<StillBad>), CommandError> {
        let mut bad = Vec::new();
        let has_bytes = way.recipe.shape.is_some() || way.recipe.json.is_some();
        let lines = match has_bytes {
            true => None,
            false => Some(self.lines(way, records, &mut bad).await?),
        };
        let read = way.reader.read(lines.as_deref().unwrap_or(records));
        let source_name = Arc::clone(&way.source);
        let mut read = read.map_err(|cause| PipelineError::Decode { source_name, cause })?;
        bad.append(&mut read.bad);
        if read.batch.root.num_rows() != read.ids.len() {
            return Err(PipelineError::Lost("a record that was good alone").into());
        }
        Ok((read, bad))
    }

    /// Records of a source without lines, as lines.
    async fn lines(
        &self,
        way: &Way,
        records: &[Record],
        bad: &mut Vec<StillBad>,
    ) -> Result<Vec<Record>, CommandError> {
        let mut objects = Objects::new(&way.recipe);
        let ids: Vec<i32> =
            records.iter().filter_map(|record| objects.ticker_id(&record.bytes)).collect();
        let mut symbols = HashMap::new();
        if !ids.is_empty() {
            let sql = "SELECT id, symbol FROM public.tickers WHERE id = ANY($1)";
            for row in self.db.query_typed(sql, &[(&ids, Type::INT4_ARRAY)]).await? {
                symbols.insert(row.get(0), row.get(1));
            }
        }
        let mut lines = Vec::with_capacity(records.len());
        for Record { id, bytes } in records {
            match objects.line(bytes, &symbols) {
                Ok(bytes) => lines.push(Record { id: *id, bytes }),
                Err(reason) => bad.push(StillBad::new(*id, "bad_json", reason)),
            }
        }
        Ok(lines)
    }

    /// Tickers, checks, partitions, and the transaction. Gives also how many were skipped.
    async fn write(
        &mut self,
        way: &mut Way,
        load_id: i64,
        read: Read,
    ) -> Result<Option<(Replayed, u64)>, CommandError> {
        let Read { mut batch, ids, skipped, .. } = read;
        if let Some(tickers) = way.recipe.tickers.as_ref().filter(|_| !ids.is_empty()) {
            let symbols: Vec<String> =
                prepare::symbols(&batch.root, tickers).into_iter().map(str::to_owned).collect();
            let known = resolve_tickers(&self.db, &tickers.venue, &symbols).await?;
            let lost = || PipelineError::Lost("a ticker that was just added");
            let found = symbols.iter().map(|symbol| known.get(symbol).copied().ok_or_else(lost));
            let found = found.collect::<Result<Vec<i32>, _>>()?;
            batch.root =
                prepare::put_ids(&batch.root, tickers, &found).map_err(WriteError::from)?;
        }
        if let Some(identity) = way.recipe.identity.as_ref().filter(|_| !ids.is_empty()) {
            // A mended record is at the place of the one that was refused.
            let place = |row: usize| {
                let id = ids[batch.places[row].row as usize];
                self.places.get(&id).copied().unwrap_or(-id)
            };
            batch.root =
                prepare::put_identity(&batch.root, identity, place).map_err(WriteError::from)?;
        }
        if !ids.is_empty() {
            prepare::check(&mut batch, way.recipe.interval_column, &way.checker, &way.target)?;
            way.make_partitions(&mut self.db, &batch.root).await?;
        }
        let key = PortionKey { set_id: 0, route: "replay".to_owned(), window: 0 };
        let of = (load_id, self.run_id);
        let skipped_records = skipped.len() as u64;
        // Without a good record there is no batch of the target's schema, and none is needed.
        let job = Job::new(&way.target, key, of, Arc::clone(&way.source), batch)?;
        let mut mended = Mended { job, ids, skipped };
        let replayed = self.ladder.replay(&way.target, &mut mended).await?;
        Ok(replayed.map(|replayed| (replayed, skipped_records)))
    }
}
