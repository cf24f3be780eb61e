//! Builds the program's lists of migrations and layouts from the files in `schema/`, so that
//! adding a file is enough.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of `schema/` that hold no migrations.
const NOT_DOMAINS: [&str; 3] = ["layouts", "query", "timescale"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=schema");
    let schema = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("schema");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("migrations.rs"), migrations(&schema)?)?;
    fs::write(out.join("layouts.rs"), layouts(&schema.join("layouts"))?)?;
    fs::write(out.join("benches.rs"), benches(&schema.join("query/bench"))?)?;
    Ok(())
}

/// Entries of a folder by name; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| "a name is not UTF-8".into())
}

fn migrations(schema: &Path) -> Result<String, Box<dyn Error>> {
    let mut code = String::from(
        "/// Every migration, by domain and version.\n\
         pub const MIGRATIONS: &[Migration] = &[\n",
    );
    for folder in entries(schema)?.into_iter().filter(|path| path.is_dir()) {
        let domain = file_name(&folder)?;
        if NOT_DOMAINS.contains(&domain) {
            continue;
        }
        let mut expected = 1;
        for up in entries(&folder)? {
            let name = file_name(&up)?;
            let Some(stem) = name.strip_suffix(".up.sql") else {
                let down_of = name.strip_suffix(".down.sql").map(|stem| format!("{stem}.up.sql"));
                if down_of.is_some_and(|up| folder.join(up).is_file()) {
                    continue;
                }
                return Err(
                    format!("{}: not NNNN_name.up.sql or its .down.sql", up.display()).into()
                );
            };
            let (version, title) = stem.split_once('_').ok_or("a migration is NNNN_name")?;
            if version.len() != 4 || version.parse() != Ok(expected) {
                return Err(format!("{}: version {expected:04} is next", up.display()).into());
            }
            let down = folder.join(format!("{stem}.down.sql"));
            if !down.is_file() {
                return Err(format!("{}: has no .down.sql", up.display()).into());
            }
            let (queries, indexes) = marks(&up)?;
            writeln!(
                code,
                "    Migration {{ domain: {domain:?}, version: {expected}, name: {title:?}, \
                 up: include_str!({up:?}), down: include_str!({down:?}), queries: {queries}, \
                 indexes: {indexes} }},"
            )?;
            expected += 1;
        }
    }
    code.push_str("];\n");
    Ok(code)
}

/// What the first line of a migration says of it, behind `-- tidegate:`: whether it is for queries,
/// and whether it consists of indexes.
fn marks(path: &Path) -> Result<(bool, bool), Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let Some(marks) = text.lines().next().and_then(|line| line.strip_prefix("-- tidegate:")) else {
        return Ok((false, false));
    };
    let (mut queries, mut indexes) = (false, false);
    for mark in marks.split(',') {
        match mark.trim() {
            "queries" => queries = true,
            "indexes" => indexes = true,
            other => return Err(format!("{}: unknown mark {other:?}", path.display()).into()),
        }
    }
    Ok((queries, indexes))
}

/// The critical queries: a folder a domain, a file a query.
fn benches(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut code = String::from(
        "/// Every critical query: its domain, the file's stem and its text.\n\
         const BENCHES: &[(&str, &str, &str)] = &[\n",
    );
    for domain in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for path in entries(&domain)? {
            let stem = file_name(&path)?.strip_suffix(".sql");
            let stem = stem.ok_or_else(|| format!("{}: not .sql", path.display()))?;
            let domain = file_name(&domain)?;
            writeln!(code, "    ({domain:?}, {stem:?}, include_str!({path:?})),")?;
        }
    }
    code.push_str("];\n");
    Ok(code)
}

fn layouts(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut code = String::from(
        "/// Every built-in layout: the file's stem and its text.\n\
         pub const LAYOUTS: &[(&str, &str)] = &[\n",
    );
    for path in entries(folder)? {
        if let Some(stem) = file_name(&path)?.strip_suffix(".toml") {
            writeln!(code, "    ({stem:?}, include_str!({path:?})),")?;
        }
    }
    code.push_str("];\n");
    Ok(code)
}
