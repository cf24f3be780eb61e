//! What the applied migrations make, object by object, from `schema/shape.txt`: a section a
//! migration, with what it adds and what it takes away. The file is made by a test from what the
//! server says, and the same test holds the two together. No database here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::finding::{Finding, Level};

const SHAPE: &str = include_str!("../../../schema/shape.txt");

/// Kind, relation and name of an object.
pub(super) type Key = (String, String, String);

/// An object as a migration leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub definition: String,
    /// The migration.
    pub by: String,
}

/// What there should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected(pub BTreeMap<Key, Object>);

impl Expected {
    /// Tables and materialized views: whatever has rows.
    pub fn tables(&self) -> Vec<String> {
        let has_rows =
            |(key, object): &(&Key, &Object)| key.0 == "relation" && object.definition != "view";
        self.0.iter().filter(has_rows).map(|(key, _)| key.1.clone()).collect()
    }
}

/// One line of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An object is there now, so defined.
    Added([String; 4]),
    /// An object is gone, or defined anew.
    Removed([String; 3]),
}

/// A line of a section as the file has it.
pub fn write_change(change: &Change, into: &mut String) {
    let _ = match change {
        Change::Added(fields) => writeln!(into, "+ {}", fields.join("\t")),
        Change::Removed(fields) => writeln!(into, "- {}", fields.join("\t")),
    };
}

/// The objects that make up a shape, from rows of `shape.sql`: spaces and line ends made one.
pub fn shape_of(rows: impl IntoIterator<Item = [String; 4]>) -> BTreeMap<[String; 3], String> {
    let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let object = |[kind, relation, name, definition]: [String; 4]| {
        ([kind, relation, name], one_line(definition))
    };
    rows.into_iter().map(object).collect()
}

/// What these migrations make together.
pub(super) fn expected(migrations: &BTreeSet<(String, i32)>) -> Expected {
    let mut objects = BTreeMap::new();
    let mut by = None;
    for line in SHAPE.lines() {
        if let Some(title) = line.strip_prefix("@ ") {
            let number = title.split_once('/').and_then(|(domain, name)| {
                Some((domain.to_owned(), name.split('_').next()?.parse().ok()?))
            });
            by = number.filter(|number| migrations.contains(number)).map(|_| title.to_owned());
            continue;
        }
        let Some(by) = &by else { continue };
        let fields: Vec<&str> = line.get(2..).unwrap_or_default().splitn(4, '\t').collect();
        match (line.get(..2), fields.as_slice()) {
            (Some("+ "), [kind, relation, name, definition]) => {
                let key = ((*kind).to_owned(), (*relation).to_owned(), (*name).to_owned());
                let definition = (*definition).to_owned();
                objects.insert(key, Object { definition, by: by.clone() });
            }
            (Some("- "), [kind, relation, name]) => {
                let key = ((*kind).to_owned(), (*relation).to_owned(), (*name).to_owned());
                objects.remove(&key);
            }
            _ => {}
        }
    }
    Expected(objects)
}

/// What is missing or otherwise than it should be.
pub(super) fn compare(expected: &Expected, found: &BTreeMap<[String; 3], String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((kind, relation, name), object) in &expected.0 {
        let key = [kind.clone(), relation.clone(), name.clone()];
        // What belongs to a table that is gone is not told apart.
        let is_gone = |relation: &String| {
            let relation = ["relation".to_owned(), relation.clone(), String::new()];
            !relation[1].is_empty() && !found.contains_key(&relation)
        };
        let is_of_function = kind == "grant" && relation.contains('(');
        if kind != "relation" && !is_of_function && is_gone(relation) {
            continue;
        }
        let what = title(kind, relation, name);
        let found = match found.get(&key) {
            Some(definition) if *definition == object.definition => continue,
            Some(definition) => {
                format!("{what} is {definition}, and should be {}", object.definition)
            }
            None => format!("{what} is missing"),
        };
        let level = if kind == "grant" { Level::Warning } else { Level::Fault };
        let change = mend(kind, relation, name, object);
        findings.push(Finding::advise(level, check(kind), found, change, why(kind)));
    }
    findings
}

fn title(kind: &str, relation: &str, name: &str) -> String {
    match kind {
        "relation" => format!("table {relation}"),
        "function" => format!("function {name}"),
        "grant" => format!("what {name} may do with {relation}"),
        _ => format!("{kind} {name} of {relation}"),
    }
}

fn check(kind: &str) -> &'static str {
    match kind {
        "relation" => "table",
        "column" => "column",
        "constraint" => "constraint",
        "index" => "index",
        "trigger" => "trigger",
        "function" => "function",
        _ => "grant",
    }
}

fn mend(kind: &str, relation: &str, name: &str, object: &Object) -> String {
    let schema = relation.split('.').next().unwrap_or("public");
    let again = object.definition.replace(" ON ONLY ", " ON ");
    match kind {
        "index" => format!("DROP INDEX IF EXISTS {schema}.{name}; {again}"),
        "trigger" => format!("DROP TRIGGER IF EXISTS {name} ON {relation}; {again}"),
        "column" | "constraint" => {
            format!("make it as schema/{}.up.sql has it; that file says what it is for", object.by)
        }
        _ => format!(
            "run schema/{}.up.sql again in psql: it makes what is missing and nothing else",
            object.by
        ),
    }
}

fn why(kind: &str) -> &'static str {
    match kind {
        "relation" | "column" => "loads and queries need it",
        "constraint" => "rows that should be refused are let in, or the other way round",
        "index" => "queries that should take milliseconds read whole partitions",
        "trigger" => "what it keeps up to date is not",
        "function" => "callers get another answer, or none",
        _ => "whoever reads through that role is refused, or may do more than it should",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::migration::MIGRATIONS;

    fn all() -> BTreeSet<(String, i32)> {
        MIGRATIONS.iter().map(|m| (m.domain.to_owned(), m.version)).collect()
    }

    #[test]
    fn every_migration_has_its_section() {
        for migration in MIGRATIONS {
            let title =
                format!("@ {}/{:04}_{}", migration.domain, migration.version, migration.name);
            assert!(SHAPE.lines().any(|line| line == title), "{title}");
        }
        let tables = expected(&all()).tables();
        for table in ["public.market_data", "kalshi.trades", "public.mv_24h_statistics"] {
            assert!(tables.contains(&table.to_owned()), "{table}");
        }
        let ledger = BTreeSet::from([("ledger".to_owned(), 1)]);
        assert!(expected(&ledger).tables().iter().all(|table| table.starts_with("tidegate.")));
    }

    #[test]
    fn what_differs_is_named_with_what_mends_it() {
        let expected = expected(&all());
        let mut found: BTreeMap<[String; 3], String> = (expected.0.iter())
            .map(|((a, b, c), object)| {
                ([a.clone(), b.clone(), c.clone()], object.definition.clone())
            })
            .collect();
        assert_eq!(compare(&expected, &found), []);
        let key = |kind: &str, relation: &str, name: &str| {
            [kind.to_owned(), relation.to_owned(), name.to_owned()]
        };
        found.remove(&key("index", "public.trades", "idx_trades_symbol")).unwrap();
        found.insert(key("column", "public.orders", "price"), "text".to_owned());
        found.remove(&key("relation", "public.predictions", "")).unwrap();
        let findings = compare(&expected, &found);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.level == Level::Fault));
        let index = findings.iter().find(|finding| finding.check == "index").unwrap();
        assert_eq!(index.found, "index idx_trades_symbol of public.trades is missing");
        let change = index.change.as_ref().unwrap();
        assert!(
            change
                .ends_with("CREATE INDEX idx_trades_symbol ON public.trades USING btree (symbol)")
        );
        let column = findings.iter().find(|finding| finding.check == "column").unwrap();
        assert!(column.found.ends_with("is text, and should be numeric"), "{}", column.found);
    }
}
