//! Applies and takes back the migrations of `schema/`, each in one transaction with its
//! bookkeeping row; only indexes of tables with many rows are built outside of one, so that nobody
//! waits for them, and picked up again where that was interrupted. It never guesses: an applied
//! file that was edited since is an error. The commands `migrate` and `backfill` call it.

mod down;
pub mod index;

use tokio_postgres::types::Type;
use tokio_postgres::{IsolationLevel, Transaction};

use super::error::{DbError, Doing};
use super::{Connection, Database, timescale};

pub use down::down;

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The advisory lock that serialises migrations of one database: "tidegate" in ASCII.
const LOCK: i64 = 0x7469_6465_6761_7465;

/// One migration, as its two files have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The group of tables it belongs to.
    pub domain: &'static str,
    /// Its number in the domain, from 1 without gaps.
    pub version: i32,
    /// Its name.
    pub name: &'static str,
    /// SQL that applies it.
    pub up: &'static str,
    /// SQL that takes it back.
    pub down: &'static str,
    /// Loads do without it: it is there for queries, and makes loads slower.
    pub queries: bool,
    /// It consists of indexes alone, which are built concurrently where there are many rows.
    pub indexes: bool,
}

/// Which migrations of a domain are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those without which nothing can be loaded.
    Loads,
    /// All.
    All,
}

impl Migration {
    /// BLAKE3 of the SQL that applies it, in hexadecimal; line ends do not count.
    pub fn checksum(&self) -> String {
        blake3::hash(self.up.replace("\r\n", "\n").as_bytes()).to_hex().to_string()
    }

    /// Whether it is among those that are meant.
    pub fn is_in(&self, extent: Extent) -> bool {
        extent == Extent::All || !self.queries
    }

    fn title(&self) -> String {
        format!("migration {}/{:04}_{}", self.domain, self.version, self.name)
    }
}

/// A migration that was applied or taken back just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its domain.
    pub domain: String,
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
}

impl From<&Migration> for Applied {
    fn from(migration: &Migration) -> Self {
        Self {
            domain: migration.domain.to_owned(),
            version: migration.version,
            name: migration.name.to_owned(),
        }
    }
}

/// How a migration stands in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not applied.
    Pending,
    /// Applied at this time (ISO 8601, UTC).
    Applied(String),
    /// Applied at this time, and its file was edited since.
    Changed(String),
    /// Applied at this time by a newer program: this one does not have it.
    Unknown(String),
}

/// A migration and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its domain.
    pub domain: String,
    /// Its number.
    pub version: i32,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: State,
}

/// A row of the bookkeeping table.
struct Recorded {
    domain: String,
    version: i32,
    name: String,
    checksum: String,
    at: String,
}

/// The domains that have migrations.
pub fn domains() -> Vec<&'static str> {
    let mut domains: Vec<_> = MIGRATIONS.iter().map(|migration| migration.domain).collect();
    domains.dedup();
    domains
}

/// Applies what is missing of `domains`, in their order, each migration in one transaction with
/// its row in `tidegate.migration`. If another process is at it, waits for it or, without `wait`,
/// gives up. `connection` is to `database`; a second one is opened only to build indexes.
///
/// # Errors
/// [`DbError::Locked`]; [`DbError::Migration`] for an unknown domain, an applied migration whose
/// file changed, or one that this program does not have; [`DbError::Server`].
pub async fn up(
    database: &Database,
    connection: &mut Connection,
    domains: &[&str],
    extent: Extent,
    wait: bool,
) -> Result<Vec<Applied>, DbError> {
    let applied = up_with(database, connection, MIGRATIONS, domains, (extent, wait)).await?;
    timescale::make_hypertables(connection, domains).await?;
    Ok(applied)
}

async fn up_with(
    database: &Database,
    connection: &mut Connection,
    all: &[Migration],
    domains: &[&str],
    (extent, wait): (Extent, bool),
) -> Result<Vec<Applied>, DbError> {
    let mut applied = Vec::new();
    let recorded = read_recorded(connection).await?;
    for domain in domains {
        let of_domain = of_domain(all, domain)?;
        for migration in of_domain.into_iter().filter(|migration| migration.is_in(extent)) {
            // Mostly all are, and nothing needs a lock.
            if is_among(&recorded, all, migration)? {
                continue;
            }
            let done = if migration.indexes && index::has_big_table(connection, migration).await? {
                let mut second = database.connect().await?;
                build_indexes(connection, &mut second, all, migration, wait).await?
            } else {
                let transaction = begin(connection, wait).await?;
                let done = apply(&transaction, all, migration).await?;
                if done {
                    commit(transaction, migration).await?;
                }
                done
            };
            if done {
                applied.push(Applied::from(migration));
            }
        }
    }
    Ok(applied)
}

async fn commit(transaction: Transaction<'_>, migration: &Migration) -> Result<(), DbError> {
    transaction.commit().await.doing(format!("committing {}", migration.title()))
}

/// Builds the indexes of a migration on `connection`, outside of a transaction, while one on
/// `second` holds the lock and then records it; says whether that was needed. A build that was
/// interrupted goes on with the index that it was at.
async fn build_indexes(
    connection: &Connection,
    second: &mut Connection,
    all: &[Migration],
    migration: &Migration,
    wait: bool,
) -> Result<bool, DbError> {
    let transaction = begin(second, wait).await?;
    if is_recorded(&transaction, all, migration).await? {
        return Ok(false);
    }
    // Closes the portal of the last question, whose snapshot CONCURRENTLY would wait for.
    transaction.batch_execute("SELECT 1").await?;
    for statement in index::parse(migration.up)? {
        index::build(connection, &statement).await?;
    }
    record(&transaction, migration).await?;
    commit(transaction, migration).await?;
    Ok(true)
}

fn of_domain<'a>(all: &'a [Migration], domain: &str) -> Result<Vec<&'a Migration>, DbError> {
    let found: Vec<_> = all.iter().filter(|migration| migration.domain == domain).collect();
    if found.is_empty() {
        let mut known: Vec<_> = all.iter().map(|migration| migration.domain).collect();
        known.dedup();
        return Err(DbError::Migration(format!(
            "unknown domain {domain:?}: there are {}",
            known.join(", ")
        )));
    }
    Ok(found)
}

/// A transaction that holds the migration lock.
async fn begin(connection: &mut Connection, wait: bool) -> Result<Transaction<'_>, DbError> {
    let transaction = connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await
        .doing("beginning a migration")?;
    transaction
        .batch_execute("SET LOCAL synchronous_commit = on; SET LOCAL client_min_messages = warning")
        .await?;
    let call = if wait { "pg_advisory_xact_lock" } else { "pg_try_advisory_xact_lock" };
    let sql = format!("SELECT coalesce(nullif({call}($1)::text, ''), 'true')");
    let row = transaction
        .query_typed_one(&sql, &[(&LOCK, Type::INT8)])
        .await
        .doing("taking the migration lock")?;
    let answer: &str = row.try_get(0)?;
    if answer == "false" { Err(DbError::Locked) } else { Ok(transaction) }
}

/// Applies one migration unless it is applied; says whether it did.
async fn apply(
    transaction: &Transaction<'_>,
    all: &[Migration],
    migration: &Migration,
) -> Result<bool, DbError> {
    if is_recorded(transaction, all, migration).await? {
        return Ok(false);
    }
    transaction
        .batch_execute(migration.up)
        .await
        .doing(format!("applying {}", migration.title()))?;
    record(transaction, migration).await?;
    Ok(true)
}

/// Whether it is applied. Makes the bookkeeping table.
async fn is_recorded(
    transaction: &Transaction<'_>,
    all: &[Migration],
    migration: &Migration,
) -> Result<bool, DbError> {
    make_bookkeeping(transaction).await?;
    is_among(&read_recorded(transaction.client()).await?, all, migration)
}

/// Whether it is one of those that are applied, as its file has it.
fn is_among(
    recorded: &[Recorded],
    all: &[Migration],
    migration: &Migration,
) -> Result<bool, DbError> {
    refuse_unknown(all, migration.domain, recorded)?;
    let same = |row: &&Recorded| row.domain == migration.domain && row.version == migration.version;
    match recorded.iter().find(same) {
        None => Ok(false),
        Some(row) if row.checksum == migration.checksum() => Ok(true),
        Some(row) => Err(DbError::Migration(format!(
            "{} was applied on {} and its file changed since: take the change back, or make \
             it a new migration",
            migration.title(),
            row.at
        ))),
    }
}

async fn record(transaction: &Transaction<'_>, migration: &Migration) -> Result<(), DbError> {
    transaction
        .execute_typed(
            "INSERT INTO tidegate.migration (domain, version, name, checksum) \
             VALUES ($1, $2, $3, $4)",
            &[
                (&migration.domain, Type::TEXT),
                (&migration.version, Type::INT4),
                (&migration.name, Type::TEXT),
                (&migration.checksum(), Type::TEXT),
            ],
        )
        .await
        .doing(format!("recording {}", migration.title()))?;
    Ok(())
}

/// Makes the bookkeeping table if it is missing. Asks first: `IF NOT EXISTS` needs rights that a
/// later run may lack.
async fn make_bookkeeping(transaction: &Transaction<'_>) -> Result<(), DbError> {
    const SQL: &str = "\
DO $$ BEGIN
    IF to_regnamespace('tidegate') IS NULL THEN CREATE SCHEMA tidegate; END IF;
END $$;
CREATE TABLE IF NOT EXISTS tidegate.migration (
    domain      text NOT NULL,
    version     integer NOT NULL,
    name        text NOT NULL,
    checksum    text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (domain, version)
);
COMMENT ON SCHEMA tidegate IS 'Bookkeeping of tidegate: what was loaded, and by which schema.';
COMMENT ON TABLE tidegate.migration IS 'Migrations that are applied to this database.'";
    if has_bookkeeping(transaction.client()).await? {
        return Ok(());
    }
    transaction.batch_execute(SQL).await.doing("making tidegate.migration")
}

async fn has_bookkeeping(client: &tokio_postgres::Client) -> Result<bool, DbError> {
    let row = client
        .query_typed_one("SELECT to_regclass('tidegate.migration') IS NOT NULL", &[])
        .await
        .doing("looking for tidegate.migration")?;
    Ok(row.try_get(0)?)
}

/// What is applied, by domain and version.
async fn read_recorded(client: &tokio_postgres::Client) -> Result<Vec<Recorded>, DbError> {
    const SQL: &str = "\
SELECT domain, version, name, checksum,
       to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
FROM tidegate.migration ORDER BY domain, version";
    if !has_bookkeeping(client).await? {
        return Ok(Vec::new());
    }
    let rows = client.query_typed(SQL, &[]).await.doing("reading tidegate.migration")?;
    rows.iter()
        .map(|row| {
            Ok(Recorded {
                domain: row.try_get(0)?,
                version: row.try_get(1)?,
                name: row.try_get(2)?,
                checksum: row.try_get(3)?,
                at: row.try_get(4)?,
            })
        })
        .collect()
}

fn refuse_unknown(all: &[Migration], domain: &str, recorded: &[Recorded]) -> Result<(), DbError> {
    let newest = all.iter().filter(|m| m.domain == domain).map(|m| m.version).max().unwrap_or(0);
    match recorded.iter().find(|row| row.domain == domain && row.version > newest) {
        Some(row) => Err(DbError::Migration(format!(
            "domain {domain} is at {:04}_{} here, newer than this program knows ({newest:04}): \
             update the program",
            row.version, row.name
        ))),
        None => Ok(()),
    }
}

/// How each migration that is known or applied stands.
///
/// # Errors
/// [`DbError::Server`].
pub async fn status(connection: &Connection) -> Result<Vec<MigrationStatus>, DbError> {
    status_with(connection, MIGRATIONS).await
}

async fn status_with(
    connection: &Connection,
    all: &[Migration],
) -> Result<Vec<MigrationStatus>, DbError> {
    let recorded = read_recorded(connection).await?;
    let mut list: Vec<MigrationStatus> = all
        .iter()
        .map(|migration| {
            let row = recorded
                .iter()
                .find(|row| row.domain == migration.domain && row.version == migration.version);
            let state = match row {
                None => State::Pending,
                Some(row) if row.checksum == migration.checksum() => State::Applied(row.at.clone()),
                Some(row) => State::Changed(row.at.clone()),
            };
            let Applied { domain, version, name } = Applied::from(migration);
            MigrationStatus { domain, version, name, state }
        })
        .collect();
    for row in recorded {
        if !list.iter().any(|known| known.domain == row.domain && known.version == row.version) {
            list.push(MigrationStatus {
                domain: row.domain,
                version: row.version,
                name: row.name,
                state: State::Unknown(row.at),
            });
        }
    }
    list.sort_by(|a, b| (&a.domain, a.version).cmp(&(&b.domain, b.version)));
    Ok(list)
}

/// Whether some migration of `domain` is not applied, of those that are meant.
///
/// # Errors
/// [`DbError::Server`]; [`DbError::Migration`] for an unknown domain.
pub async fn pending(
    connection: &Connection,
    domain: &str,
    extent: Extent,
) -> Result<bool, DbError> {
    let meant = of_domain(MIGRATIONS, domain)?;
    let list = status(connection).await?;
    Ok(meant.iter().filter(|migration| migration.is_in(extent)).any(|migration| {
        list.iter().any(|known| {
            known.domain == domain
                && known.version == migration.version
                && known.state == State::Pending
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::down::down_with;
    use super::*;
    use crate::db::testing;

    const fn inline(
        domain: &'static str,
        version: i32,
        up: &'static str,
        down: &'static str,
    ) -> Migration {
        Migration { domain, version, name: "inline", up, down, queries: false, indexes: false }
    }

    const ALL: &[Migration] = &[
        inline("a", 1, "CREATE TABLE public.a1 (x int)", "DROP TABLE public.a1"),
        inline("a", 2, "CREATE TABLE public.a2 (x int)", "DROP TABLE public.a2"),
        inline("b", 1, "CREATE TABLE public.b1 (x int)", "DROP TABLE public.b1"),
    ];

    #[test]
    fn built_in_migrations_are_listed() {
        assert!(domains().contains(&"market"));
        let checksum = MIGRATIONS[0].checksum();
        assert_eq!(checksum.len(), 64);
        let windows = Migration { up: "a\r\nb", ..MIGRATIONS[0] };
        let unix = Migration { up: "a\nb", ..MIGRATIONS[0] };
        assert_eq!(windows.checksum(), unix.checksum());
    }

    #[test]
    fn market_data_goes_up_and_down_and_runs_twice() {
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            assert!(pending(&connection, "market", Extent::All).await.unwrap());
            let applied =
                up(&database, &mut connection, &["market"], Extent::All, true).await.unwrap();
            assert_eq!(applied[0].name, "market_data");
            assert!(!pending(&connection, "market", Extent::All).await.unwrap());
            assert!(
                up(&database, &mut connection, &["market"], Extent::All, true)
                    .await
                    .unwrap()
                    .is_empty()
            );
            let migration = MIGRATIONS.iter().find(|m| m.domain == "market").unwrap();
            connection.batch_execute(migration.up).await.unwrap();
            let table = crate::db::catalog::load_table(&connection, Some("public"), "market_data");
            let table = table.await.unwrap().unwrap();
            assert_eq!(table.key, ["ticker_id", "interval", "ts"]);
            assert_eq!(table.partitioning.unwrap().time_column.as_deref(), Some("ts"));
            let mut removed = down(&mut connection, "market", false).await.unwrap();
            removed.reverse();
            assert_eq!(removed, applied);
            assert!(pending(&connection, "market", Extent::All).await.unwrap());
            assert!(down(&mut connection, "market", false).await.unwrap().is_empty());
        });
    }

    #[test]
    fn every_domain_goes_up_and_down() {
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            let all = domains();
            up(&database, &mut connection, &all, Extent::All, true).await.unwrap();
            for migration in MIGRATIONS {
                let twice = connection.batch_execute(migration.up).await;
                twice.doing(migration.title()).unwrap();
            }
            for domain in all.iter().rev() {
                assert!(!pending(&connection, domain, Extent::All).await.unwrap(), "{domain}");
                assert!(!down(&mut connection, domain, false).await.unwrap().is_empty());
                assert!(pending(&connection, domain, Extent::All).await.unwrap(), "{domain}");
            }
            assert!(!crate::db::catalog::has_user_tables(&connection, &[]).await.unwrap());
        });
    }

    #[test]
    fn a_changed_file_is_named() {
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            up_with(&database, &mut connection, ALL, &["a", "b"], (Extent::All, true))
                .await
                .unwrap();
            let mut changed = ALL.to_vec();
            changed[1].up = "SELECT 1";
            let error = up_with(&database, &mut connection, &changed, &["a"], (Extent::All, true))
                .await
                .unwrap_err();
            assert!(error.to_string().starts_with("migration a/0002_inline was applied on "));
            let status = status_with(&connection, &changed).await.unwrap();
            assert!(matches!(status[0].state, State::Applied(_)));
            assert!(matches!(status[1].state, State::Changed(_)));
            let older = [ALL[0], ALL[2]];
            let error = up_with(&database, &mut connection, &older, &["a"], (Extent::All, true))
                .await
                .unwrap_err();
            assert!(error.to_string().contains("update the program"), "{error}");
            let status = status_with(&connection, &older).await.unwrap();
            assert!(matches!(status[1].state, State::Unknown(_)));
            assert!(
                up_with(&database, &mut connection, ALL, &["c"], (Extent::All, true))
                    .await
                    .is_err()
            );
        });
    }

    #[test]
    fn indexes_of_a_big_table_are_built_outside_of_a_transaction() {
        const TABLE: &str = "CREATE TABLE public.big (x int, filler char(1500)) \
            PARTITION BY RANGE (x); \
            CREATE TABLE public.big_1 PARTITION OF public.big FOR VALUES FROM (0) TO (90000); \
            CREATE TABLE public.big_2 PARTITION OF public.big FOR VALUES FROM (90000) TO (90001); \
            INSERT INTO public.big SELECT n, '' FROM generate_series(1, 50000) n";
        const INDEX: &str = "CREATE INDEX IF NOT EXISTS big_x ON public.big (x);";
        let all = [
            inline("a", 1, TABLE, "DROP TABLE public.big"),
            Migration { indexes: true, queries: true, ..inline("a", 2, INDEX, "") },
        ];
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            let loads = (Extent::Loads, true);
            let applied = up_with(&database, &mut connection, &all, &["a"], loads).await.unwrap();
            assert_eq!(applied.len(), 1);
            let everything = (Extent::All, false);
            // Another process has the lock: nothing is built.
            let mut other = database.connect().await.unwrap();
            let held = begin(&mut other, false).await.unwrap();
            let busy = up_with(&database, &mut connection, &all, &["a"], everything).await;
            assert!(matches!(busy, Err(DbError::Locked)));
            held.rollback().await.unwrap();
            for expected in [1, 0] {
                let done = up_with(&database, &mut connection, &all, &["a"], everything).await;
                assert_eq!(done.unwrap().len(), expected);
            }
            let row = connection
                .query_typed_one(
                    "SELECT bool_and(indisvalid), count(*) FROM pg_index \
                     WHERE indrelid::regclass::text LIKE 'big%' OR indrelid::regclass::text \
                         LIKE 'public.big%'",
                    &[],
                )
                .await
                .unwrap();
            assert_eq!((row.get::<_, bool>(0), row.get::<_, i64>(1)), (true, 3));
        });
    }

    #[test]
    fn a_failed_migration_leaves_nothing() {
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            let broken = [inline("a", 1, "CREATE TABLE public.a1 (x int); SELECT 1/0", "")];
            let error = up_with(&database, &mut connection, &broken, &["a"], (Extent::All, true))
                .await
                .unwrap_err();
            assert_eq!(error.sqlstate(), Some("22012"));
            assert!(error.to_string().contains("applying migration a/0001_inline"), "{error}");
            let left = "SELECT to_regclass('public.a1') IS NULL";
            assert!(connection.query_typed_one(left, &[]).await.unwrap().get::<_, bool>(0));
            assert_eq!(status_with(&connection, ALL).await.unwrap()[0].state, State::Pending);
        });
    }

    #[test]
    fn one_process_migrates_at_a_time() {
        testing::run(async |database| {
            let mut first = database.connect().await.unwrap();
            let mut second = database.connect().await.unwrap();
            let lock = begin(&mut first, false).await.unwrap();
            let error = up_with(&database, &mut second, ALL, &["a"], (Extent::All, false))
                .await
                .unwrap_err();
            assert!(matches!(error, DbError::Locked));
            assert!(matches!(down_with(&mut second, ALL, "a", true).await, Err(DbError::Locked)));
            lock.rollback().await.unwrap();
            let (one, two) = tokio::join!(
                up_with(&database, &mut first, ALL, &["a", "b"], (Extent::All, true)),
                up_with(&database, &mut second, ALL, &["a", "b"], (Extent::All, true))
            );
            assert_eq!(one.unwrap().len() + two.unwrap().len(), 3);
        });
    }

    #[test]
    fn down_spares_rows_and_forgets_loads() {
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            up_with(&database, &mut connection, ALL, &["a", "b"], (Extent::All, true))
                .await
                .unwrap();
            connection
                .batch_execute(
                    "CREATE TABLE tidegate.content (id bigint, target_oid oid, target text); \
                     CREATE TABLE tidegate.load (id bigint, content_id bigint, set_id bigint); \
                     CREATE TABLE tidegate.load_set (id bigint); \
                     CREATE TABLE tidegate.portion (set_id bigint); \
                     CREATE TABLE tidegate.stretch (set_id bigint); \
                     CREATE TABLE tidegate.route (set_id bigint); \
                     CREATE TABLE tidegate.reject (load_id bigint); \
                     INSERT INTO tidegate.content VALUES (1, 'public.a1'::regclass, 'x'), \
                         (2, 'public.b1'::regclass, 'public.b1'), (3, 0, 'public.a2'); \
                     INSERT INTO tidegate.load VALUES (11, 1, 101), (12, 2, 102), (13, 3, 102); \
                     INSERT INTO tidegate.load_set VALUES (101), (102); \
                     INSERT INTO tidegate.portion VALUES (101), (102); \
                     INSERT INTO tidegate.reject VALUES (11), (12), (13); \
                     INSERT INTO public.a2 VALUES (1)",
                )
                .await
                .unwrap();
            let error = down_with(&mut connection, ALL, "a", false).await.unwrap_err();
            assert!(error.to_string().contains("rows in public.a2: give --yes"), "{error}");
            let removed = down_with(&mut connection, ALL, "a", true).await.unwrap();
            let versions: Vec<i32> = removed.iter().map(|applied| applied.version).collect();
            assert_eq!(versions, [2, 1]);
            let row = connection
                .query_typed_one(
                    "SELECT to_regclass('public.a1') IS NULL AND to_regclass('public.b1') > 0, \
                     (SELECT array_agg(id ORDER BY id) FROM tidegate.content), \
                     (SELECT array_agg(id ORDER BY id) FROM tidegate.load), \
                     (SELECT array_agg(id ORDER BY id) FROM tidegate.load_set), \
                     (SELECT array_agg(set_id ORDER BY 1) FROM tidegate.portion), \
                     (SELECT array_agg(load_id ORDER BY 1) FROM tidegate.reject)",
                    &[],
                )
                .await
                .unwrap();
            assert!(row.get::<_, bool>(0));
            for (at, expected) in [(1, 2), (2, 12), (3, 102), (4, 102), (5, 12)] {
                assert_eq!(row.get::<_, Vec<i64>>(at), [expected], "column {at}");
            }
        });
    }
}
