//! Taking migrations back, with the ledger's rows of what they drop.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{
    Applied, Connection, DbError, Doing, MIGRATIONS, Migration, begin, has_bookkeeping, of_domain,
    read_recorded, refuse_unknown,
};

/// Takes all migrations of `domain` back, newest first, in one transaction that also deletes the
/// ledger's rows of the tables that go. Unless `yes`, refuses while one of them has rows.
///
/// # Errors
/// [`DbError::Locked`] if another process migrates; [`DbError::Migration`] for an unknown domain,
/// one that a newer program made, or tables with rows; [`DbError::Server`].
pub async fn down(
    connection: &mut Connection,
    domain: &str,
    yes: bool,
) -> Result<Vec<Applied>, DbError> {
    down_with(connection, MIGRATIONS, domain, yes).await
}

pub(super) async fn down_with(
    connection: &mut Connection,
    all: &[Migration],
    domain: &str,
    yes: bool,
) -> Result<Vec<Applied>, DbError> {
    let known: Vec<&Migration> = of_domain(all, domain)?.into_iter().rev().collect();
    let mut transaction = begin(connection, false).await?;
    let recorded = read_recorded(transaction.client()).await?;
    refuse_unknown(all, domain, &recorded)?;
    let is_applied = |migration: &&Migration| {
        recorded.iter().any(|row| row.domain == domain && row.version == migration.version)
    };
    let applied: Vec<&Migration> = known.into_iter().filter(is_applied).collect();
    if applied.is_empty() {
        return Ok(Vec::new());
    }
    let dropped = rehearse(&mut transaction, &applied).await?;
    lock_and_check(&transaction, domain, &dropped, yes).await?;
    take_back(&transaction, &applied).await?;
    forget_loads(&transaction, &dropped).await?;
    if has_bookkeeping(transaction.client()).await? {
        transaction
            .execute_typed(
                "DELETE FROM tidegate.migration WHERE domain = $1",
                &[(&domain, Type::TEXT)],
            )
            .await
            .doing("deleting from tidegate.migration")?;
    }
    transaction.commit().await.doing(format!("committing the removal of domain {domain}"))?;
    Ok(applied.into_iter().map(Applied::from).collect())
}

async fn take_back(
    transaction: &Transaction<'_>,
    migrations: &[&Migration],
) -> Result<(), DbError> {
    for migration in migrations {
        transaction
            .batch_execute(migration.down)
            .await
            .doing(format!("taking back {}", migration.title()))?;
    }
    Ok(())
}

/// A table that the migrations drop.
struct Dropped {
    oid: u32,
    sql_name: String,
    display_name: String,
}

/// Runs the SQL in a savepoint that is rolled back, to see which tables go: the catalogue knows
/// better than any reading of the files.
async fn rehearse(
    transaction: &mut Transaction<'_>,
    migrations: &[&Migration],
) -> Result<Vec<Dropped>, DbError> {
    const SQL: &str = "\
SELECT c.oid, format('%I.%I', n.nspname, c.relname), n.nspname || '.' || c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p')
  -- Partitions and chunks go with their tables.
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_toast%'
ORDER BY 2";
    let before = transaction.query_typed(SQL, &[]).await.doing("listing tables")?;
    let savepoint = transaction.savepoint("rehearsal").await?;
    take_back(&savepoint, migrations).await?;
    let after = savepoint.query_typed(SQL, &[]).await.doing("listing tables")?;
    savepoint.rollback().await?;
    let kept = after.iter().map(|row| row.try_get(0)).collect::<Result<Vec<u32>, _>>()?;
    let mut dropped = Vec::new();
    for row in before {
        let oid = row.try_get(0)?;
        if !kept.contains(&oid) {
            dropped.push(Dropped { oid, sql_name: row.try_get(1)?, display_name: row.try_get(2)? });
        }
    }
    Ok(dropped)
}

async fn lock_and_check(
    transaction: &Transaction<'_>,
    domain: &str,
    dropped: &[Dropped],
    yes: bool,
) -> Result<(), DbError> {
    let mut full = Vec::new();
    for table in dropped {
        let name = &table.sql_name;
        // Locked first, so that nothing arrives between the question and the drop.
        transaction
            .batch_execute(&format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
            .await
            .doing(format!("locking {name}"))?;
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {name})");
        let row = transaction.query_typed_one(&sql, &[]).await?;
        if row.try_get(0)? {
            full.push(name.as_str());
        }
    }
    if full.is_empty() || yes {
        return Ok(());
    }
    Err(DbError::Migration(format!(
        "domain {domain} has rows in {}: give --yes to drop them",
        full.join(", ")
    )))
}

/// Deletes the ledger's rows of tables that go, so that it never outlives its data.
async fn forget_loads(transaction: &Transaction<'_>, dropped: &[Dropped]) -> Result<(), DbError> {
    const SQL: &str = "\
WITH gone AS (
    DELETE FROM tidegate.content WHERE target_oid = ANY ($1) OR target = ANY ($2) RETURNING id
), loads AS (
    DELETE FROM tidegate.load WHERE content_id IN (SELECT id FROM gone) RETURNING id, set_id
), rejects AS (
    DELETE FROM tidegate.reject WHERE load_id IN (SELECT id FROM loads)
), sets AS (
    DELETE FROM tidegate.load_set s
    WHERE s.id IN (SELECT set_id FROM loads)
      AND NOT EXISTS (SELECT 1 FROM tidegate.load l
                      WHERE l.set_id = s.id AND l.id NOT IN (SELECT id FROM loads))
    RETURNING s.id
), stretches AS (
    DELETE FROM tidegate.stretch WHERE set_id IN (SELECT id FROM sets)
), routes AS (
    DELETE FROM tidegate.route WHERE set_id IN (SELECT id FROM sets)
)
DELETE FROM tidegate.portion WHERE set_id IN (SELECT id FROM sets)";
    // What retention dropped of them, and what replays wrote into them.
    const BESIDE: &str = "\
WITH replays AS (
    DELETE FROM tidegate.portion p USING tidegate.load_set s
    WHERE s.id = p.set_id AND s.strategy = 'replay' AND p.tables ?| $1 RETURNING p.set_id
), sets AS (
    DELETE FROM tidegate.load_set WHERE id IN (SELECT set_id FROM replays)
), touched AS (
    DELETE FROM tidegate.touched WHERE target = ANY ($1)
), refreshed AS (
    DELETE FROM tidegate.refresh WHERE to_regclass(name) IS NULL
)
DELETE FROM tidegate.dropped_range WHERE target = ANY ($1)";
    let row = transaction
        .query_typed_one(
            "SELECT to_regclass('tidegate.content') IS NOT NULL, \
                 to_regclass('tidegate.dropped_range') IS NOT NULL",
            &[],
        )
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let has_dropped: bool = row.try_get(1)?;
    let oids: Vec<u32> = dropped.iter().map(|table| table.oid).collect();
    let names: Vec<&str> = dropped.iter().map(|table| table.display_name.as_str()).collect();
    transaction
        .execute_typed(SQL, &[(&oids, Type::OID_ARRAY), (&names, Type::TEXT_ARRAY)])
        .await
        .doing("deleting the ledger's rows of the dropped tables")?;
    if has_dropped {
        transaction
            .execute_typed(BESIDE, &[(&names, Type::TEXT_ARRAY)])
            .await
            .doing("deleting what was dropped of the dropped tables")?;
    }
    Ok(())
}
