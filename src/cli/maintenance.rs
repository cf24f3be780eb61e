//! `[maintenance]` of the configuration of `nightly`: what is looked after once all is loaded.

use std::path::Path;
use std::str::FromStr;

use crate::command::upkeep::{Age, Ahead, Compress, Destination, Refreshed, Retention, UpkeepPlan};
use crate::layout::LayoutError;
use crate::layout::toml_table::{Table, Value};

const KEYS: &[&str] = &[
    "partitions_ahead",
    "retention",
    "archive",
    "archives_kept",
    "refresh",
    "analyze",
    "vacuum",
    "reindex",
    "compress",
];

/// Reads `[maintenance]`; without it nothing is done.
///
/// # Errors
/// The first mistake, with its line and key.
pub fn read(root: &Table<'_>, folder: &Path) -> Result<Option<UpkeepPlan>, LayoutError> {
    let Some(table) = root.table("maintenance", KEYS)? else { return Ok(None) };
    let mut plan = UpkeepPlan {
        refresh: refreshed(&table)?,
        analyze: table.get("analyze").map_or(Ok(false), |value| value.bool())?,
        archives_kept: stretch(&table, "archives_kept")?,
        vacuum: stretch(&table, "vacuum")?,
        reindex: stretch(&table, "reindex")?,
        ..UpkeepPlan::default()
    };
    for (table, value) in by_table(&table, "partitions_ahead")? {
        plan.partitions_ahead.push(Ahead { table, ahead: age(&value)? });
    }
    for (table, value) in by_table(&table, "compress")? {
        plan.compress.push(Compress { table, after: age(&value)? });
    }
    let archive = table.get("archive").map(|value| destination(&value, folder)).transpose()?;
    for (table, value) in by_table(&table, "retention")? {
        plan.retention.push(retention(table, &value, folder, archive.as_ref())?);
    }
    if let (Some(value), true) = (table.get("archive"), plan.retention.is_empty()) {
        return Err(value.bad("nothing is archived without [maintenance.retention]"));
    }
    Ok(Some(plan))
}

/// `trades = "90d"`, or `trades = { keep = "90d", archive = "/archive" }`, where `archive = false`
/// takes one table out of what is archived.
fn retention(
    table: String,
    value: &Value<'_>,
    folder: &Path,
    archive: Option<&Destination>,
) -> Result<Retention, LayoutError> {
    if value.string().is_ok() || value.number().is_ok() {
        return Ok(Retention { table, keep: age(value)?, archive: archive.cloned() });
    }
    let own = value.table(&["keep", "archive"])?;
    let archive = match own.get("archive") {
        None => archive.cloned(),
        Some(no) if no.bool() == Ok(false) => None,
        Some(to) => Some(destination(&to, folder)?),
    };
    Ok(Retention { table, keep: age(&own.need("keep")?)?, archive })
}

/// `true` or `"all"`, `false`, or a list of names.
fn refreshed(table: &Table<'_>) -> Result<Refreshed, LayoutError> {
    let Some(value) = table.get("refresh") else { return Ok(Refreshed::Nothing) };
    if let Ok(all) = value.bool() {
        return Ok(if all { Refreshed::All } else { Refreshed::Nothing });
    }
    let names = value.strings()?;
    Ok(if names == ["all"] { Refreshed::All } else { Refreshed::Names(names) })
}

/// The values under a key, each by the name of a table.
fn by_table<'a>(table: &Table<'a>, key: &str) -> Result<Vec<(String, Value<'a>)>, LayoutError> {
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    let tables = value.any_table()?;
    Ok(tables.entries().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A stretch of time, as text or as a number of days.
fn age(value: &Value<'_>) -> Result<Age, LayoutError> {
    if let Ok(days) = value.number() {
        return Age::from_str(&format!("{days}d")).map_err(|why| value.bad(why));
    }
    Age::from_str(value.string()?).map_err(|why| value.bad(why))
}

fn stretch(table: &Table<'_>, key: &str) -> Result<Option<Age>, LayoutError> {
    table.get(key).map(|value| age(&value)).transpose()
}

/// A folder, which may be meant from the configuration's own, or a URL.
fn destination(value: &Value<'_>, folder: &Path) -> Result<Destination, LayoutError> {
    let text = value.string()?;
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => folder.join(text).display().to_string(),
    };
    Destination::from_str(&whole).map_err(|why| value.bad(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::toml_table::Doc;
    use toml::de::DeTable;

    fn parsed(text: &str) -> Result<UpkeepPlan, String> {
        let text = format!("[maintenance]\n{text}\n");
        let table = DeTable::parse(&text).map_err(|error| error.to_string())?;
        let doc = Doc { origin: "c.toml", text: &text, trusted: false };
        let root = Table::root(doc, &table, &["maintenance"]).map_err(|e| e.to_string())?;
        let plan = read(&root, Path::new("/etc/tidegate")).map_err(|error| error.to_string())?;
        Ok(plan.unwrap())
    }

    #[test]
    fn what_is_not_named_is_not_done() {
        assert_eq!(parsed(""), Ok(UpkeepPlan::default()));
        let root = "";
        let table = DeTable::parse(root).unwrap();
        let root =
            Table::root(Doc { origin: "c", text: root, trusted: false }, &table, &[]).unwrap();
        assert_eq!(read(&root, Path::new("/")).unwrap(), None);
    }

    #[test]
    fn every_key_becomes_its_part_of_the_plan() {
        let plan = parsed(
            "partitions_ahead = { trades = \"90d\", market_data = 30 }\narchive = \"old\"\n\
             archives_kept = \"60 months\"\nrefresh = [\"a\", \"b\"]\nanalyze = true\n\
             vacuum = \"weekly\"\nreindex = \"quarterly\"\ncompress = { market_data = \"7d\" }\n\
             [maintenance.retention]\ntrades = \"90d\"\n\
             orders = { keep = \"5y\", archive = false }\n\
             \"kalshi.trades\" = { keep = \"1y\", archive = \"s3://b/x\" }",
        )
        .unwrap();
        assert!(
            plan.partitions_ahead
                .contains(&Ahead { table: "market_data".to_owned(), ahead: Age::of_days(30) })
        );
        let kept = |table: &str| {
            let of = plan.retention.iter().find(|retention| retention.table == table).unwrap();
            (of.keep, of.archive.clone())
        };
        let old = Destination::Folder("/etc/tidegate/old".into());
        assert_eq!(kept("trades"), (Age::of_days(90), Some(old)));
        assert_eq!(kept("orders"), (Age::of_months(60), None));
        let bucket = Destination::Url("s3://b/x".to_owned());
        assert_eq!(kept("kalshi.trades"), (Age::of_months(12), Some(bucket)));
        assert_eq!(plan.refresh, Refreshed::Names(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!((plan.vacuum, plan.reindex), (Some(Age::of_days(7)), Some(Age::of_months(3))));
        assert_eq!(plan.archives_kept, Some(Age::of_months(60)));
        assert!(plan.analyze && plan.compress.len() == 1);
        assert_eq!(parsed("refresh = true").unwrap().refresh, Refreshed::All);
        assert_eq!(parsed("refresh = \"all\"").unwrap().refresh, Refreshed::All);
    }

    #[test]
    fn mistakes_have_a_line() {
        for (wrong, words) in [
            ("partition_ahead = 5", ["line 2", "partitions_ahead?"]),
            ("vacuum = \"sometimes\"", ["line 2", "weekly"]),
            ("retention = { trades = { kep = \"90d\" } }", ["line 2", "keep?"]),
            ("retention = \"90d\"", ["line 2", "expected a table"]),
            ("archive = \"/x\"", ["line 2", "retention"]),
            ("retention = { trades = true }", ["line 2", "maintenance.retention.trades"]),
        ] {
            let error = parsed(wrong).unwrap_err();
            assert!(words.iter().all(|word| error.contains(word)), "{wrong}: {error}");
        }
    }
}
