//! Plans: what of them is expected, and what they say of planning, execution and indexes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio_postgres::types::Type;

use super::query::Expectation;
use crate::db::{Connection, DbError};

/// A plan as the server ran it, with the parents of its partitions and their indexes.
#[derive(Debug, Default)]
pub struct Plan {
    nodes: Vec<Node>,
    /// By the name of an index or a table: the name of what it is a partition of (or its own) and
    /// its bytes.
    relations: BTreeMap<String, (String, i64)>,
}

/// What is looked at of a node.
#[derive(Debug, Default, Clone)]
struct Node {
    kind: String,
    relation: Option<String>,
    index: Option<String>,
    batches: i64,
    ran: bool,
}

impl Plan {
    /// Reads EXPLAIN's JSON and asks whose partitions its tables and indexes are.
    pub async fn read(db: &Connection, explained: &Value) -> Result<Self, DbError> {
        let mut nodes = Vec::new();
        walk(&explained["Plan"], &mut nodes);
        let names: Vec<&String> = (nodes.iter())
            .flat_map(|node| node.relation.iter().chain(node.index.iter()))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let rows = db
            .query_typed(
                "SELECT c.relname::text, coalesce(p.relname, c.relname)::text, \
                        pg_catalog.pg_relation_size(c.oid), \
                        coalesce(p.relnamespace, c.relnamespace)::regnamespace::text \
                 FROM pg_catalog.pg_class c \
                 LEFT JOIN pg_catalog.pg_class p ON p.oid = pg_catalog.pg_partition_root(c.oid) \
                 WHERE c.relname = ANY ($1::text[]::name[]) \
                   AND c.relkind IN ('r', 'i', 'm', 'p', 'I')",
                &[(&names, Type::TEXT_ARRAY)],
            )
            .await?;
        let mut relations = BTreeMap::new();
        for row in &rows {
            let (name, root): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            relations.insert(name, (root, row.try_get(2)?));
        }
        Ok(Self { nodes, relations })
    }

    fn root<'a>(&'a self, name: &'a str) -> &'a str {
        self.relations.get(name).map_or(name, |(root, _)| root)
    }

    /// What is not as expected, for people.
    pub fn faults(&self, expected: &[Expectation]) -> Vec<String> {
        expected.iter().filter_map(|one| self.fault(one)).collect()
    }

    fn fault(&self, expected: &Expectation) -> Option<String> {
        match expected {
            Expectation::Index(names) => {
                let used = |node: &Node| {
                    let index = node.index.as_deref().unwrap_or_default();
                    names.iter().any(|name| match name.strip_prefix('*') {
                        // Indexes of single partitions, with the day in their names.
                        Some(part) => index.contains(part),
                        None => name == self.root(index),
                    })
                };
                (!self.nodes.iter().any(used))
                    .then(|| format!("the index {} is not used", names.join(" or ")))
            }
            Expectation::NoJoin => {
                let join = |node: &&Node| {
                    matches!(node.kind.as_str(), "Nested Loop" | "Hash Join" | "Merge Join")
                };
                let found = self.nodes.iter().find(join)?;
                Some(format!("there is a join: {}", found.kind))
            }
            Expectation::NoSeqScan(table) => {
                let bare = table.split_once('.').map_or(table.as_str(), |(_, bare)| bare);
                let whole = |node: &&Node| {
                    let of = node.relation.as_deref().is_some_and(|name| self.root(name) == bare);
                    node.kind == "Seq Scan" && of && node.ran
                };
                let found = self.nodes.iter().find(whole)?.relation.clone().unwrap_or_default();
                // Small partitions are best read as a whole.
                let is_small =
                    self.relations.get(&found).is_some_and(|(_, bytes)| *bytes < 1 << 20);
                (!is_small).then(|| format!("{found} is read as a whole"))
            }
            Expectation::Partitions(most) => {
                let ran = self.nodes.iter().filter(|node| node.ran);
                let read: BTreeSet<&str> =
                    ran.filter_map(|node| node.relation.as_deref()).collect();
                let count = read.len();
                (count > *most).then(|| format!("{count} partitions are looked at, not {most}"))
            }
            Expectation::OneBatch => {
                let spilled = self.nodes.iter().find(|node| node.batches > 1)?;
                Some(format!("{} takes {} batches, not one", spilled.kind, spilled.batches))
            }
        }
    }

    /// The indexes that are used, with the index that each is a part of, and its bytes.
    pub fn indexes(&self) -> Value {
        let used: BTreeSet<&str> =
            self.nodes.iter().filter_map(|node| node.index.as_deref()).collect();
        let one = |name: &str| {
            let bytes = self.relations.get(name).map(|(_, bytes)| *bytes);
            json!({ "index": name, "of": self.root(name), "bytes": bytes })
        };
        used.into_iter().map(one).collect()
    }
}

fn walk(plan: &Value, nodes: &mut Vec<Node>) {
    let text = |key: &str| plan[key].as_str().map(str::to_owned);
    let Some(kind) = text("Node Type") else { return };
    let batches = ["HashAgg Batches", "Hash Batches"];
    nodes.push(Node {
        kind,
        relation: text("Relation Name"),
        index: text("Index Name"),
        batches: batches.iter().filter_map(|key| plan[*key].as_i64()).max().unwrap_or(0),
        ran: plan["Actual Loops"].as_f64().is_none_or(|loops| loops > 0.0),
    });
    for child in plan["Plans"].as_array().into_iter().flatten() {
        walk(child, nodes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &Value) -> Plan {
        let mut nodes = Vec::new();
        walk(json, &mut nodes);
        let known = |name: &str, root: &str, bytes| (name.to_owned(), (root.to_owned(), bytes));
        Plan {
            nodes,
            relations: BTreeMap::from([
                known("t_p1", "t", 2 << 20),
                known("t_p2", "t", 8192),
                known("t_p1_a_idx", "t_a", 10),
            ]),
        }
    }

    #[test]
    fn expectations_are_held_against_plans() {
        let index = Expectation::Index(vec!["t_a".to_owned()]);
        let whole = Expectation::NoSeqScan("public.t".to_owned());
        let all = [index, whole, Expectation::NoJoin, Expectation::Partitions(1)];
        let good = plan(&json!({
            "Node Type": "Append", "Plans": [
                { "Node Type": "Index Scan", "Relation Name": "t_p1", "Index Name": "t_p1_a_idx" },
                { "Node Type": "Seq Scan", "Relation Name": "t_p1", "Actual Loops": 0 },
            ]
        }));
        assert_eq!(good.faults(&all), Vec::<String>::new());
        let bad = plan(&json!({
            "Node Type": "Hash Join", "Plans": [
                { "Node Type": "Seq Scan", "Relation Name": "t_p1", "Actual Loops": 1.0 },
                { "Node Type": "Seq Scan", "Relation Name": "t_p2", "Actual Loops": 1 },
                { "Node Type": "Aggregate", "HashAgg Batches": 5 },
            ]
        }));
        assert_eq!(bad.faults(&all).len(), 4);
        assert_eq!(bad.faults(&[Expectation::OneBatch]), ["Aggregate takes 5 batches, not one"]);
        let small = plan(&json!({ "Node Type": "Seq Scan", "Relation Name": "t_p2" }));
        assert_eq!(small.faults(&all[1..2]), Vec::<String>::new());
    }
}
