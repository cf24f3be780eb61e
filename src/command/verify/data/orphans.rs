//! Rows without the rows that they belong to. No foreign key looks them up while loading: the
//! loader guarantees what one would check, and here it is proved.

use crate::column::quote_identifier;
use crate::dataset;
use crate::db::{Connection, DbError, Doing as _, catalog};
use crate::report::human;

use super::super::super::finding::{Finding, Level};
use super::fault;
use super::rows::Target;

/// Tables whose rows name others that come from elsewhere: table, its column, the other table, its
/// column, what is lacking without it.
const NAMES: &[(&str, &str, &str, &str, &str)] = &[
    ("kalshi.trades", "ticker", "kalshi.markets", "ticker", "no price series of a game has them"),
    ("espn.game_states", "game_id", "espn.games", "game_id", "no price series has them"),
];

pub(super) async fn check(db: &Connection, targets: &[Target]) -> Result<Vec<Finding>, DbError> {
    let mut findings = Vec::new();
    let there: Vec<&Target> = targets.iter().filter(|target| target.is_there()).collect();
    for target in &there {
        let Some(dataset) = target.dataset.as_deref().and_then(dataset::by_name) else { continue };
        if dataset.ticker.is_some() && has_ticker_id(db, target).await? {
            findings.extend(tickers(db, target).await?);
        }
        if dataset.table.to_string() != target.name {
            continue;
        }
        for child in dataset.children {
            findings.extend(orphans(db, target, child).await?);
        }
        if dataset.name == "killmails" {
            findings.extend(killmails(db).await?);
        }
    }
    let has = |name: &str| there.iter().any(|target| target.name == name);
    for &(table, column, other, key, why) in NAMES {
        if has(table) {
            findings.extend(named(db, (table, column), (other, key), why).await?);
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("orphans", "every row has the rows that it belongs to"));
    }
    Ok(findings)
}

async fn has_ticker_id(db: &Connection, target: &Target) -> Result<bool, DbError> {
    let Some((schema, table)) = target.name.split_once('.') else { return Ok(false) };
    let table = catalog::load_table(db, Some(schema), table).await?;
    Ok(table.is_some_and(|table| table.column("ticker_id").is_some()))
}

async fn tickers(db: &Connection, target: &Target) -> Result<Option<Finding>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/tickers.sql");
    let sql = sql.replace(":table", &target.sql_name());
    let found = ask(db, &sql, &target.name).await?;
    Ok(found.map(|(keys, rows, first)| {
        fault(
            "orphans",
            format!(
                "{} of {} are of {} that public.tickers does not have, the first {first}",
                human::plural(rows, "row"),
                target.name,
                human::plural(keys, "ticker")
            ),
            "put the tickers back with their ids, as a backup has them",
            "nobody finds these rows by their symbol any more",
        )
    }))
}

async fn orphans(
    db: &Connection,
    root: &Target,
    child: &dataset::Child,
) -> Result<Option<Finding>, DbError> {
    let keys: Vec<String> = child.root_key.iter().map(|key| quote_identifier(key)).collect();
    let sql = include_str!("../../../../schema/query/verify/orphans.sql")
        .replace(":child", &child.table.to_string())
        .replace(":root", &root.sql_name())
        .replace(":keys", &keys.join(", "));
    let found = ask(db, &sql, &child.table.to_string()).await?;
    Ok(found.map(|(roots, rows, first)| {
        fault(
            "orphans",
            format!(
                "{} of {} belong to {} that {} does not have, the first {first}",
                human::plural(rows, "row"),
                child.table,
                human::plural(roots, "record"),
                root.name
            ),
            "load the files again with --reload, or delete these rows",
            "a record and its rows come and go together, unless somebody else deletes",
        )
    }))
}

/// How many keys, how many rows, and the first key.
async fn ask(
    db: &Connection,
    sql: &str,
    table: &str,
) -> Result<Option<(u64, u64, String)>, DbError> {
    let rows = db.query_typed(sql, &[]).await;
    let rows = rows.doing(format!("looking for orphans in {table}"))?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (sum, keys): (i64, i64) = (first.try_get(1)?, first.try_get(2)?);
    Ok(Some((keys.unsigned_abs(), sum.unsigned_abs(), first.try_get(0)?)))
}

async fn killmails(db: &Connection) -> Result<Option<Finding>, DbError> {
    let sql = include_str!("../../../../schema/query/verify/killmails.sql");
    let rows = db.query_typed(sql, &[]).await.doing("counting participants of killmails")?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (key, found): (&str, &str) = (first.try_get(0)?, first.try_get(1)?);
    let killmails: i64 = first.try_get(2)?;
    Ok(Some(fault(
        "orphans",
        format!(
            "{} without all of their participants, the first {key}: {found}",
            human::plural(killmails.unsigned_abs(), "killmail")
        ),
        "load the files again with --reload",
        "a killmail has its victim and every attacker, one of them with the final blow",
    )))
}

/// Rows that name another table's row that is not loaded: nobody promised that it is.
async fn named(
    db: &Connection,
    (table, column): (&str, &str),
    (other, key): (&str, &str),
    why: &'static str,
) -> Result<Option<Finding>, DbError> {
    let sql = format!(
        "SELECT m.name, sum(m.rows) OVER ()::bigint, count(*) OVER () \
         FROM (SELECT {column} AS name, count(*) AS rows FROM {table} GROUP BY 1) m \
         WHERE NOT EXISTS (SELECT FROM {other} o WHERE o.{key} = m.name) ORDER BY 1 LIMIT 1"
    );
    let found = ask(db, &sql, table).await?;
    Ok(found.map(|(names, rows, first)| {
        Finding::advise(
            Level::Advice,
            "orphans",
            format!(
                "{} of {table} name {} that {other} does not have, the first {first}",
                human::plural(rows, "row"),
                human::count(names)
            ),
            format!("load the file of {other}, too"),
            why,
        )
    }))
}
