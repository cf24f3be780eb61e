//! The critical queries, from the files in `schema/query/bench/`. A file runs in psql as it is: a
//! header of comments, a query that picks values (`LIMIT 1 \gset`), and the query itself, in which
//! `:'name'` stands for such a value. `docs/bench.md` describes the header for people.

use std::collections::BTreeMap;

include!(concat!(env!("OUT_DIR"), "/benches.rs"));

/// What ends the query that picks values: in psql it takes one row.
const PICK_END: &str = "LIMIT 1 \\gset";
/// What ends a query whose result is the statement that is measured.
const MAKE_END: &str = "\\gexec";

/// One critical query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The domain whose tables it asks.
    pub domain: &'static str,
    /// Its name: the file's.
    pub name: &'static str,
    /// What it asks, for people.
    pub title: String,
    /// What the percentile must stay under, in milliseconds; none: shown for comparison.
    pub target_ms: Option<f64>,
    /// The percentile that is compared.
    pub percentile: f64,
    /// What must be there: relations, functions, indexes.
    pub needs: Vec<Need>,
    /// What it means if no values can be picked.
    pub empty: String,
    /// What its plan must show.
    pub plan: Vec<Expectation>,
    /// Settings of its transaction, as name and value.
    pub settings: Vec<(String, String)>,
    /// Picks values, a row for each set; without its LIMIT.
    pub pick: Option<String>,
    /// The statement, with `$1` for the first of `parameters`; if `made`, a query for it.
    pub sql: String,
    /// The statement is what `sql` returns.
    pub made: bool,
    /// Names of the values, in the order of their numbers.
    pub parameters: Vec<String>,
}

/// Something that a query needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A table, view or index, as `schema.name`.
    Relation(String),
    /// A function, as `schema.name`.
    Function(String),
}

/// What a plan must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// One of these indexes is used; partitions' count as their parent's.
    Index(Vec<String>),
    /// No join.
    NoJoin,
    /// This table, or a partition of it, is not read as a whole.
    NoSeqScan(String),
    /// At most so many tables or partitions are looked at.
    Partitions(usize),
    /// No hash table is written to disk.
    OneBatch,
}

impl Expectation {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(match words.as_slice() {
            ["index", names @ ..] if !names.is_empty() => {
                let names = names.iter().filter(|name| **name != "|");
                Self::Index(names.map(|name| (*name).to_owned()).collect())
            }
            ["no", "join"] => Self::NoJoin,
            ["no", "seq", "scan", table] => Self::NoSeqScan((*table).to_owned()),
            ["partitions", most] => Self::Partitions(most.parse().ok()?),
            ["one", "batch"] => Self::OneBatch,
            _ => return None,
        })
    }
}

/// Every query, by domain and name.
///
/// # Errors
/// What is wrong with a file: a fault of the program's, which a test finds.
pub fn all() -> Result<Vec<Query>, String> {
    let parse = |&(domain, name, text)| {
        parse(domain, name, text).map_err(|fault| format!("{domain}/{name}.sql: {fault}"))
    };
    BENCHES.iter().map(parse).collect()
}

fn parse(domain: &'static str, name: &'static str, text: &str) -> Result<Query, String> {
    let mut header: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut body = text;
    while let Some(comment) = body.strip_prefix("--") {
        let (line, rest) = comment.split_once('\n').unwrap_or((comment, ""));
        body = rest;
        if let Some((key, value)) = line.trim().split_once(": ") {
            header.entry(key).or_default().push(value.trim());
        }
    }
    let (pick, statement) = match body.split_once(PICK_END) {
        Some((pick, statement)) => (Some(pick.trim().to_owned()), statement),
        None => (None, body),
    };
    let (statement, made) = match statement.trim().strip_suffix(MAKE_END) {
        Some(statement) => (statement.trim(), true),
        None => (statement.trim().strip_suffix(';').ok_or("does not end with ;")?, false),
    };
    if statement.contains(';') || pick.as_ref().is_some_and(|pick| pick.contains(';')) {
        return Err("there is more than one statement".to_owned());
    }
    let (sql, parameters) = number(statement);
    let mut one = |key: &str| header.remove(key).and_then(|values| values.first().copied());
    let query = Query {
        domain,
        name,
        title: one("title").ok_or("has no title")?.to_owned(),
        target_ms: match one("target_ms").ok_or("has no target_ms")? {
            "none" => None,
            number => Some(number.parse().map_err(|_| "target_ms is no number")?),
        },
        percentile: one("percentile").unwrap_or("95").parse().map_err(|_| "percentile")?,
        needs: one("needs").ok_or("has no needs")?.split(", ").map(need).collect(),
        empty: one("empty").unwrap_or("its tables are empty").to_owned(),
        settings: one("settings").map_or(Ok(Vec::new()), settings)?,
        plan: header.remove("plan").map_or(Ok(Vec::new()), expectations)?,
        pick,
        sql,
        made,
        parameters,
    };
    match header.keys().next() {
        Some(key) => Err(format!("{key:?} means nothing in its header")),
        None => Ok(query),
    }
}

fn need(text: &str) -> Need {
    match text.split_once(' ') {
        Some(("function", name)) => Need::Function(name.to_owned()),
        Some((_, name)) => Need::Relation(name.to_owned()),
        None => Need::Relation(text.to_owned()),
    }
}

fn expectations(lines: Vec<&str>) -> Result<Vec<Expectation>, String> {
    let parse = |line| Expectation::parse(line).ok_or_else(|| format!("plan: {line:?}"));
    lines.into_iter().map(parse).collect()
}

fn settings(text: &str) -> Result<Vec<(String, String)>, String> {
    let setting = |text: &str| {
        let (name, value) = text.split_once(" = ")?;
        let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
        Some((name.trim().to_owned(), value.to_owned()))
    };
    let parse = |text| setting(text).ok_or_else(|| format!("settings: {text:?}"));
    text.split(", ").map(parse).collect()
}

/// The statement with numbers for the values' names, and the names.
fn number(statement: &str) -> (String, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let sql = each_value(statement, |name| {
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        format!("${}", at + 1)
    });
    (sql, names)
}

/// The text with every `:'name'` replaced.
fn each_value(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once(":'") {
        out.push_str(before);
        match from.split_once('\'') {
            Some((name, after)) => {
                out.push_str(&replace(name));
                rest = after;
            }
            None => {
                out.push_str(":'");
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A value as a literal.
pub fn literal(value: Option<&str>) -> String {
    match value {
        // E'' is read alike whatever standard_conforming_strings says.
        Some(value) => format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

/// A statement with literals for its parameters, for servers that are asked without preparing.
pub fn with_literals(sql: &str, values: &[Option<String>]) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, from)) = rest.split_once('$') {
        out.push_str(before);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        let value =
            from[..digits].parse::<usize>().ok().and_then(|n| values.get(n.checked_sub(1)?));
        match value {
            Some(value) => out.push_str(&literal(value.as_deref())),
            None => out.push_str(&format!("${}", &from[..digits])),
        }
        rest = &from[digits..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_query_with_a_target() {
        let all = all().unwrap();
        for domain in ["market", "trading", "options", "kalshi", "killmails"] {
            let of = || all.iter().filter(|query| query.domain == domain);
            assert!(of().any(|query| query.target_ms.is_some()), "{domain}");
        }
        for query in &all {
            let pick = query.pick.as_deref().unwrap_or_default();
            for name in &query.parameters {
                assert!(pick.contains(name.as_str()), "{}: nothing picks {name}", query.name);
            }
            let domains = all.iter().filter(|other| other.name == query.name);
            assert_eq!(domains.count(), 1, "{}: names are unique", query.name);
        }
    }

    #[test]
    fn a_header_is_read() {
        let text = "-- Prose.\n-- title: T\n-- target_ms: 2.5\n-- percentile: 99\n\
                    -- needs: a.b, function c.d, index e.f\n\
                    -- plan: index i | j\n-- plan: no join\n\
                    -- settings: work_mem = '1MB'\n\
                    SELECT 1 AS x, 2 AS y LIMIT 1 \\gset\n\
                    SELECT :'y'::integer, :'x'::text, :'y'::integer;\n";
        let query = parse("d", "n", text).unwrap();
        assert_eq!(query.sql, "SELECT $1::integer, $2::text, $1::integer");
        assert_eq!(query.parameters, ["y", "x"]);
        assert_eq!((query.target_ms, query.percentile), (Some(2.5), 99.0));
        assert_eq!(query.pick.as_deref(), Some("SELECT 1 AS x, 2 AS y"));
        let index = Expectation::Index(vec!["i".to_owned(), "j".to_owned()]);
        assert_eq!(query.plan, [index, Expectation::NoJoin]);
        assert_eq!(query.needs[1], Need::Function("c.d".to_owned()));
        assert_eq!(query.settings, [("work_mem".to_owned(), "1MB".to_owned())]);
        let unknown = text.replace("percentile", "percentil");
        assert!(parse("d", "n", &unknown).unwrap_err().contains("percentil"));
        let open = text.replace("y'::integer;", "y'::integer");
        assert!(parse("d", "n", &open).is_err());
    }

    #[test]
    fn literals_cannot_break_out() {
        let values: Vec<Option<String>> =
            (0..10).map(|at| (at != 8).then(|| format!("o'{at}\\"))).collect();
        let sql = with_literals("$10 $1 $9", &values);
        assert_eq!(sql, r"E'o''9\\' E'o''0\\' NULL");
    }
}
