//! What data mean: the columns, types, key and tables of each dataset. One dataset is one file,
//! listed once, here. `docs/datasets.md` is this folder for people.

mod bars;
mod block_predictions;
mod column;
mod game_states;
mod games;
mod kalshi_markets;
mod kalshi_trades;
mod killmails;
mod market_trades;
mod open_interest;
mod option_bars;
mod option_strike_bars;
mod orders;
mod predictions;
mod rule;
mod trades;

pub use column::{Column, Meeting, Word};
pub use rule::{Rule, Series, Test, WARNINGS};

/// What happens to a record whose key is stored already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictPolicy {
    /// The stored row stays; the record counts as duplicate.
    Skip,
    /// The record replaces the stored row if its values differ.
    Update,
    /// The record is a reject.
    Reject,
    /// The load stops.
    Error,
}

impl ConflictPolicy {
    /// The word on the command line and in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            ConflictPolicy::Skip => "skip",
            ConflictPolicy::Update => "update",
            ConflictPolicy::Reject => "reject",
            ConflictPolicy::Error => "error",
        }
    }

    /// The policy with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Skip, Self::Update, Self::Reject, Self::Error]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
}

/// A table of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableName {
    /// Its schema.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
}

impl TableName {
    /// A table of the schema `public`.
    const fn public(name: &'static str) -> Self {
        Self { schema: "public", name }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A table whose rows belong to a row of the dataset's root table and come and go with it.
#[derive(Debug)]
pub struct Child {
    /// The table.
    pub table: TableName,
    /// Its columns. Those that hold the root's key are the decoder's to fill.
    pub columns: &'static [Column],
    /// Names of the columns that hold the root's key, in the order of the root's key.
    pub root_key: &'static [&'static str],
}

/// The columns by which records without an id of their own are known again: equal prints are real,
/// so values cannot identify them. The loader fills all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The vendor's id; empty text where a record has none.
    pub id: &'static str,
    /// A number of the content, where the record has no id; else 0.
    pub content: &'static str,
    /// The record's place in the content, where it has no id; else 0.
    pub row: &'static str,
}

/// The position columns under the names that our tables give them.
const POSITION: Position = Position { id: "trade_id", content: "content", row: "row_no" };

/// A dataset.
#[derive(Debug)]
pub struct Dataset {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The domain whose migrations make its tables.
    pub domain: &'static str,
    /// The table that has a row for each record.
    pub table: TableName,
    /// Tables with rows that belong to those.
    pub children: &'static [Child],
    /// The columns of a record, in the order of the canonical header.
    pub columns: &'static [Column],
    /// Names of the columns that identify a record.
    pub key: &'static [&'static str],
    /// How records without an id are known again, where that happens. Its columns are in `key`.
    pub position: Option<Position>,
    /// The column that holds a record's time, on which `--from` and `--to` work.
    pub time: Option<&'static str>,
    /// Whether the table is partitioned by ranges of `time`.
    pub partitioned: bool,
    /// The column that names a ticker, stored as `ticker_id` in our own tables.
    pub ticker: Option<&'static str>,
    /// What happens by default to a record whose key is there.
    pub on_conflict: ConflictPolicy,
    /// Groups of columns that must be all empty or all present.
    pub together: &'static [&'static [&'static str]],
    /// What its rows must keep.
    pub rules: &'static [Rule],
    /// The series whose quality is looked at, if its rows form one.
    pub series: Option<Series>,
    /// Columns that a header must name to be taken for this dataset, besides the required ones.
    /// Empty: files are not recognised by these names alone.
    pub marks: &'static [&'static str],
}

impl Dataset {
    /// The column that `name` (in any case) means: by its own name or an alias.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        let name = name.trim().to_lowercase();
        self.columns
            .iter()
            .find(|column| column.name == name || column.aliases.contains(&name.as_str()))
    }

    /// All its tables, the root first.
    pub fn tables(&self) -> impl Iterator<Item = TableName> + use<'_> {
        std::iter::once(self.table).chain(self.children.iter().map(|child| child.table))
    }
}

/// Every dataset.
pub const ALL: &[&Dataset] = &[
    &bars::BARS,
    &market_trades::MARKET_TRADES,
    &open_interest::OPEN_INTEREST,
    &option_bars::OPTION_BARS,
    &option_strike_bars::OPTION_STRIKE_BARS,
    &orders::ORDERS,
    &trades::TRADES,
    &kalshi_trades::KALSHI_TRADES,
    &kalshi_markets::KALSHI_MARKETS,
    &games::GAMES,
    &game_states::GAME_STATES,
    &predictions::PREDICTIONS,
    &block_predictions::BLOCK_PREDICTIONS,
    &killmails::KILLMAILS,
];

/// Names of all rules and warnings that can be switched off, sorted.
pub fn rule_names() -> Vec<&'static str> {
    let rules = ALL.iter().flat_map(|dataset| dataset.rules.iter().map(|rule| rule.name));
    let mut names: Vec<&str> = rules.chain(WARNINGS.iter().map(|warning| warning.0)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The dataset called `name`.
pub fn by_name(name: &str) -> Option<&'static Dataset> {
    ALL.iter().copied().find(|dataset| dataset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::ValueKind;
    use std::collections::BTreeSet;

    fn has(dataset: &Dataset, name: &str) -> bool {
        dataset.columns.iter().any(|column| column.name == name)
    }

    fn columns_of(test: Test) -> Vec<&'static str> {
        match test {
            Test::HighLow { prices } => prices.to_vec(),
            Test::NotNegative(columns)
            | Test::Positive(columns)
            | Test::Within(columns, ..)
            | Test::Any(columns) => columns.to_vec(),
            Test::Sum(columns, _) => columns.to_vec(),
            Test::NotMore(one, two) | Test::NotBefore(one, two) => vec![one, two],
            Test::NotFuture(column) => vec![column],
        }
    }

    #[test]
    fn datasets_name_only_columns_that_they_have() {
        for dataset in ALL {
            let name = dataset.name;
            assert_eq!(by_name(name).map(|found| found.name), Some(name));
            let filled = dataset.position.map_or(vec![], |p| vec![p.content, p.row]);
            for key in dataset.key {
                assert!(has(dataset, key) || filled.contains(key), "{name}: key {key}");
            }
            for column in dataset.marks.iter().chain(dataset.together.iter().copied().flatten()) {
                assert!(has(dataset, column), "{name}: {column}");
            }
            for column in dataset.time.iter().chain(&dataset.ticker) {
                assert!(has(dataset, column), "{name}: {column}");
            }
            for column in dataset.rules.iter().flat_map(|rule| columns_of(rule.test)) {
                assert!(has(dataset, column), "{name}: {column} of a rule");
            }
            let time = dataset.time.and_then(|time| dataset.column(time));
            assert!(time.is_none_or(|column| column.kind == ValueKind::Time), "{name}");
            assert!(!dataset.partitioned || dataset.time.is_some(), "{name}");
        }
    }

    /// The canonical header and the columns of a dataset, as `docs/datasets.md` shows them.
    fn described(dataset: &Dataset) -> String {
        use std::fmt::Write as _;
        let header: Vec<&str> = dataset.columns.iter().map(|column| column.name).collect();
        let mut text = format!("{}.\n\n", dataset.title);
        let tables: Vec<String> = dataset.tables().map(|table| format!("`{table}`")).collect();
        let _ = writeln!(text, "- tables: {}", tables.join(", "));
        let _ = writeln!(text, "- key: {}", dataset.key.join(", "));
        let width = if dataset.partitioned { ", partitions by range of it" } else { "" };
        let _ = writeln!(text, "- time: {}{width}", dataset.time.unwrap_or("none"));
        let _ = writeln!(text, "- a stored key: `{}`", dataset.on_conflict.name());
        let mut rules: Vec<String> = Vec::new();
        for rule in dataset.rules {
            rules.push(format!("`{}`", rule.name));
        }
        let _ = writeln!(text, "- rules: {}", rules.join(", "));
        if dataset.series.is_some() {
            let names = WARNINGS.map(|(name, _)| format!("`{name}`"));
            let _ = writeln!(text, "- warnings: {}", names.join(", "));
        }
        let _ = writeln!(text, "\n```\n{}\n```\n", header.join(","));
        text.push_str("| column | holds | also called |\n|---|---|---|\n");
        for column in dataset.columns {
            let name = if column.required {
                format!("**`{}`**", column.name)
            } else {
                format!("`{}`", column.name)
            };
            let default =
                column.default.map(|value| format!("; `{value}` where the file has none"));
            let aliases: Vec<String> =
                column.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            let default = default.unwrap_or_default();
            let _ =
                writeln!(text, "| {name} | {}{default} | {} |", column.about, aliases.join(" "));
        }
        text
    }

    #[test]
    fn the_documentation_says_what_the_columns_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/datasets.md");
        let found = std::fs::read_to_string(path).expect("docs/datasets.md");
        let mut expected = found.clone();
        for dataset in ALL {
            let (open, close) =
                (format!("<!-- {} -->\n", dataset.name), format!("<!-- end {} -->", dataset.name));
            let (before, rest) = expected.split_once(&open).expect(dataset.name);
            let (_, after) = rest.split_once(&close).expect(dataset.name);
            expected = format!("{before}{open}{}{close}{after}", described(dataset));
        }
        if std::env::var_os("TIDEGATE_BLESS").is_some() {
            std::fs::write(path, &expected).expect("docs/datasets.md can be written");
        }
        assert_eq!(found, expected, "TIDEGATE_BLESS=1 writes it anew");
    }

    #[test]
    fn a_name_means_one_column() {
        for dataset in ALL {
            let mut seen = BTreeSet::new();
            for column in dataset.columns {
                for name in std::iter::once(&column.name).chain(column.aliases) {
                    assert!(seen.insert(*name), "{}: {name} twice", dataset.name);
                    assert_eq!(name.to_lowercase(), *name, "{}: {name}", dataset.name);
                }
                let mut words = BTreeSet::new();
                for word in column.words {
                    for spelling in std::iter::once(&word.name).chain(word.aliases) {
                        assert!(words.insert(spelling.to_lowercase()), "{spelling} twice");
                    }
                }
            }
        }
    }
}
