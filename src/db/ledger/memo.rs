//! Memos: what files and objects held when they were looked at last, so that one that is unchanged
//! is not read again. A memo is a short cut: it is believed only while every load that it names
//! stands sealed in the ledger and its table is there with rows in it.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::types::Type;

use super::retention_took;
use crate::column::quote_identifier;
use crate::db::{Connection, DbError, Doing as _};

/// What a file or an object held, all of it loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// A hash of where it is and of what was asked about it.
    pub key: [u8; 32],
    /// Where it is, for people.
    pub location: String,
    /// What it is now: another one means that its bytes may be others.
    pub version: String,
    /// The loads of its contents with their names in reports.
    pub loads: Vec<(i64, String)>,
    /// Members that are no market data, and why.
    pub ignored: Vec<(String, String)>,
}

/// What is remembered of a file whose contents are all loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Its contents.
    pub contents: Vec<RememberedContent>,
    /// Members that are no market data, and why.
    pub ignored: Vec<(String, String)>,
}

/// A content that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedContent {
    /// Its load.
    pub load: i64,
    /// Its name in reports.
    pub source: String,
    /// Its hash.
    pub hash: Vec<u8>,
    /// The dataset that it was loaded into.
    pub dataset: String,
    /// The layout under which it was loaded.
    pub layout: String,
}

/// Whether there is anything to remember by: older ledgers have no memos.
///
/// # Errors
/// The server's.
pub async fn has_memos(db: &Connection) -> Result<bool, DbError> {
    let sql = "SELECT to_regclass('tidegate.memo') IS NOT NULL";
    Ok(db.query_typed_one(sql, &[]).await?.try_get(0)?)
}

/// What is remembered of files, by key; `wanted` has each one's key and what it is now.
///
/// # Errors
/// The server's.
pub async fn recall(
    db: &Connection,
    wanted: &[([u8; 32], String)],
) -> Result<HashMap<Vec<u8>, Remembered>, DbError> {
    let keys: Vec<&[u8]> = wanted.iter().map(|(key, _)| key.as_slice()).collect();
    let versions: Vec<&str> = wanted.iter().map(|(_, version)| version.as_str()).collect();
    let rows = db
        .query_typed(
            include_str!("memo.sql"),
            &[(&keys, Type::BYTEA_ARRAY), (&versions, Type::TEXT_ARRAY)],
        )
        .await
        .doing("asking which files are done and unchanged")?;
    let mut found: HashMap<Vec<u8>, Option<Remembered>> = HashMap::new();
    let mut tables: BTreeMap<(String, u32), bool> = BTreeMap::new();
    for row in rows {
        let key: Vec<u8> = row.try_get("key")?;
        let stands = match (row.try_get("target")?, row.try_get("target_oid")?) {
            (Some(target), Some(oid)) => {
                let table = (target, oid);
                let full = row.try_get::<_, i64>("inserted")? > 0;
                let has_rows = match tables.get(&table) {
                    Some(&has_rows) => Some(has_rows),
                    None => has_rows(db, &table).await?,
                };
                if let Some(has_rows) = has_rows {
                    tables.insert(table, has_rows);
                }
                has_rows.is_some_and(|has_rows| has_rows || !full)
            }
            _ => false,
        };
        if !stands {
            found.insert(key, None);
            continue;
        }
        let ignored: String = row.try_get("ignored")?;
        let content = RememberedContent {
            load: row.try_get("load_id")?,
            source: row.try_get("source")?,
            hash: row.try_get("hash")?,
            dataset: row.try_get("dataset")?,
            layout: row.try_get("layout")?,
        };
        let memo = found.entry(key).or_insert_with(|| {
            let ignored = serde_json::from_str(&ignored).unwrap_or_default();
            Some(Remembered { contents: Vec::new(), ignored })
        });
        if let Some(memo) = memo {
            memo.contents.push(content);
        }
    }
    Ok(found.into_iter().filter_map(|(key, memo)| Some((key, memo?))).collect())
}

/// Whether a table has rows; `None`: it is not the one that was loaded into.
async fn has_rows(db: &Connection, (target, oid): &(String, u32)) -> Result<Option<bool>, DbError> {
    let named = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let Some(row) = db.query_typed_opt(named, &[(oid, Type::OID)]).await? else { return Ok(None) };
    let (schema, name): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    if format!("{schema}.{name}") != *target {
        return Ok(None);
    }
    let (schema, name) = (quote_identifier(&schema), quote_identifier(&name));
    let sql = format!("SELECT EXISTS (SELECT 1 FROM {schema}.{name})");
    let row = db.query_typed_one(&sql, &[]).await;
    let has_rows: bool = row.doing(format!("asking whether {target} has rows"))?.try_get(0)?;
    // Rows that retention took were not lost.
    Ok(Some(has_rows || retention_took(db, target).await?))
}

/// Notes what files hold. What was noted of them before is forgotten.
///
/// # Errors
/// The server's.
pub async fn note(db: &Connection, memos: &[Memo]) -> Result<(), DbError> {
    if memos.is_empty() {
        return Ok(());
    }
    let notes: Vec<serde_json::Value> = memos
        .iter()
        .map(|memo| {
            let key: String = memo.key.iter().map(|byte| format!("{byte:02x}")).collect();
            let (loads, sources): (Vec<i64>, Vec<&str>) =
                memo.loads.iter().map(|(load, source)| (*load, source.as_str())).unzip();
            serde_json::json!({
                "key": key, "location": memo.location, "version": memo.version,
                "loads": loads, "sources": sources, "ignored": memo.ignored,
            })
        })
        .collect();
    // In the order of their keys: two runs that note the same files wait, and do not deadlock.
    db.execute_typed(
        "INSERT INTO tidegate.memo (key, location, version, loads, sources, ignored) \
         SELECT DISTINCT ON (1) decode(m ->> 'key', 'hex'), m ->> 'location', m ->> 'version', \
             ARRAY(SELECT e::bigint FROM jsonb_array_elements_text(m -> 'loads') \
                   WITH ORDINALITY AS x (e, n) ORDER BY n), \
             ARRAY(SELECT e FROM jsonb_array_elements_text(m -> 'sources') \
                   WITH ORDINALITY AS x (e, n) ORDER BY n), \
             m -> 'ignored' \
         FROM jsonb_array_elements($1) AS m ORDER BY 1 \
         ON CONFLICT (key) DO UPDATE SET version = excluded.version, loads = excluded.loads, \
             sources = excluded.sources, ignored = excluded.ignored, \
             noted_at = clock_timestamp()",
        &[(&serde_json::Value::Array(notes), Type::JSONB)],
    )
    .await
    .doing("noting which files are done")?;
    Ok(())
}
