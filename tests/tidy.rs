//! The house rules as a test: floors, widths, lengths, and what stands only in certain folders.
//! A finding names file, line and rule. Rules are in `tidy/rule.rs`, each with a bad input below
//! that it must find.

#[path = "tidy/rule.rs"]
mod rule;
#[path = "tidy/token.rs"]
mod token;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rule::{Exception, File, Finding, ratchet};

/// Rules that are broken on purpose. An entry that nothing needs any more fails the test.
const EXCEPTIONS: &[Exception] = &[Exception {
    file: "src/dataset/column.rs",
    rule: "floors",
    subject: "mapping",
    reason: "a dataset's column says how its values are read, in the mapping's own words",
}];

/// Everything that is wrong with these files.
fn findings(
    files: &[File],
    roots: &BTreeSet<String>,
    dependencies: &BTreeSet<String>,
) -> Vec<Finding> {
    let reach = rule::reach(files, roots);
    let mut found = reach.dead;
    for file in files {
        found.extend(rule::widths(file));
        found.extend(rule::macros(file));
        if reach.tests.contains(&file.path) {
            continue;
        }
        found.extend(rule::floors(file));
        found.extend(rule::std_only(file, dependencies));
        found.extend(rule::reserved(file));
        found.extend(rule::functions(file));
        found.extend(rule::lengths(file));
    }
    found
}

fn show(found: &[Finding]) -> String {
    let lines = found
        .iter()
        .map(|finding| {
            let Finding { file, line, rule, message, .. } = finding;
            format!("{file}:{line}: {rule}: {message}\n")
        })
        .collect::<BTreeSet<String>>();
    lines.into_iter().collect()
}

/// Source files under `folder`, with paths from the package's root.
fn read(root: &Path, folder: &str, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries {
        let entry = entry.expect("a directory entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(root, &path, files);
        } else if path.ends_with(".rs") {
            files.push(File::new(&path, &fs::read_to_string(entry.path()).expect("UTF-8")));
        }
    }
}

/// The files that Cargo builds: named in the manifest, or found by it.
fn roots(manifest: &toml::Table, files: &[File]) -> BTreeSet<String> {
    let mut roots: BTreeSet<String> = ["src/lib.rs", "src/main.rs"].map(str::to_owned).into();
    for (kind, folder) in [("bench", "benches"), ("test", "tests"), ("example", "examples")] {
        let targets = manifest.get(kind).and_then(toml::Value::as_array);
        for target in targets.into_iter().flatten() {
            let text = |key: &str| target.get(key).and_then(toml::Value::as_str);
            let name = text("name").expect("a target has a name");
            roots.insert(text("path").map_or(format!("{folder}/{name}.rs"), str::to_owned));
        }
        let found = files.iter().map(|file| &file.path).filter(|path| {
            let inside = path.strip_prefix(folder).and_then(|path| path.strip_prefix('/'));
            inside.is_some_and(|inside| !inside.contains('/') || inside.ends_with("/main.rs"))
        });
        roots.extend(found.cloned());
    }
    roots
}

fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let tables = ["dependencies", "dev-dependencies"].into_iter();
    let tables = tables.filter_map(|name| manifest.get(name)?.as_table());
    tables.flat_map(|table| table.keys()).map(|name| name.replace('-', "_")).collect()
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml");
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        read(root, folder, &mut files);
    }
    assert!(files.len() > 10, "the sources were found");
    let found = findings(&files, &roots(&manifest, &files), &dependencies(&manifest));
    let found = ratchet(found, EXCEPTIONS);
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), show(&found));
}

/// The findings in one file, as `line rule subject`.
fn check(path: &str, text: &str) -> Vec<String> {
    let roots = BTreeSet::from([path.to_owned()]);
    let dependencies = BTreeSet::from(["serde".to_owned()]);
    let found = findings(&[File::new(path, text)], &roots, &dependencies);
    found.iter().map(|f| format!("{} {} {}", f.line, f.rule, f.subject)).collect()
}

#[test]
fn imports_go_down_only() {
    let up = "use std::fmt;\nuse crate::{limit, write::ladder};\n";
    assert_eq!(check("src/db/mod.rs", up), ["2 floors write"]);
    let nested = "use crate::{\n    batch::{self, Batch},\n    pipeline::{run, Plan},\n};\n";
    assert_eq!(check("src/db/a.rs", nested), ["3 floors pipeline"; 2]);
    let inline = "fn f() -> u8 {\n    crate::cli::FLAG + crate::limit::KIB\n}\n";
    assert_eq!(check("src/write/mod.rs", inline), ["2 floors cli"]);
    assert_eq!(check("src/write/mod.rs", "use crate::db::Ledger as L;\n"), [""; 0]);
    assert_eq!(check("src/main.rs", "use tidegate::cli::run;\n"), [""; 0]);
    assert_eq!(check("src/limit.rs", "pub use crate::column::PgType;\n"), ["1 floors column"]);
}

#[test]
fn rooms_on_one_floor_are_strangers() {
    assert_eq!(check("src/encode/a.rs", "use crate::decode::Text;\n"), ["1 floors decode"]);
    assert_eq!(check("src/encode/a.rs", "use crate::encode::b::C;\n"), [""; 0]);
    assert_eq!(check("src/encode/a.rs", "use super::b::C;\n"), [""; 0]);
    assert_eq!(check("src/encode/a.rs", "use super::super::decode::C;\n"), ["1 floors super"]);
    assert_eq!(check("src/encode/mod.rs", "use super::decode::C;\n"), ["1 floors super"]);
}

#[test]
fn every_room_is_on_a_floor() {
    assert_eq!(check("src/util/mod.rs", ""), ["1 floors util"]);
    assert_eq!(check("src/db/mod.rs", "use crate::util::x;\n"), ["1 floors util"]);
    assert_eq!(check("src/db/mod.rs", "use crate::*;\n"), ["1 floors *"]);
}

#[test]
fn floor_0_knows_std_only() {
    assert_eq!(check("src/span.rs", "use serde::Serialize;\n"), ["1 std only serde"]);
    assert_eq!(check("src/span.rs", "fn f(x: serde::Value) {}\n"), ["1 std only serde"]);
    assert_eq!(check("src/batch.rs", "use serde::Serialize;\n"), [""; 0]);
}

#[test]
fn tests_strings_and_comments_are_no_code() {
    let text = r##"
//! use crate::cli;
/* use crate::cli; /* nested */ use crate::cli; */
fn f<'a>(x: &'a str) -> char {
    let _ = ("use crate::cli::x; \" todo!()", r#"crate::cli::x " "#, b"dbg!()");
    if x == "{" { '"' } else { '\'' }
}
#[cfg(test)]
#[expect(dead_code, reason = "crate::cli")]
mod tests {
    use crate::cli::run;
    fn g() { println!("}}"); std::thread::spawn(f); }
}
#[cfg(test)]
use crate::pipeline::Plan;
fn h() { crate::command::run() }
"##;
    assert_eq!(check("src/db/mod.rs", text), ["16 floors command"]);
}

#[test]
fn sockets_and_threads_stay_in_their_folders() {
    let threads = "use std::thread;\nfn f() {\n    thread::spawn(|| ());\n}\n";
    assert_eq!(check("src/write/mod.rs", threads), ["3 reserved thread::spawn"]);
    assert_eq!(check("src/pipeline/mod.rs", threads), [""; 0]);
    assert_eq!(check("src/db/connect.rs", threads), [""; 0]);
    let tasks = "use tokio::{spawn, sync::Notify, task::{JoinSet, yield_now}};\n";
    assert_eq!(
        check("src/db/ledger.rs", tasks),
        ["1 reserved tokio::spawn", "1 reserved tokio::task::JoinSet"]
    );
    let channel = "use crossbeam_channel::bounded;\n";
    assert_eq!(check("src/decode/mod.rs", channel), ["1 reserved crossbeam_channel::bounded"]);
    let connect = "use tokio_postgres::{Client, NoTls, connect};\nuse std::net::TcpStream;\n";
    assert_eq!(
        check("src/write/mod.rs", connect),
        ["1 reserved tokio_postgres::connect", "2 reserved std::net::TcpStream"]
    );
    assert_eq!(check("src/db/mod.rs", connect), [""; 0]);
}

#[test]
fn nothing_is_unfinished_or_printed() {
    let text = "fn f() {\n    dbg!(1);\n    println!();\n    todo!()\n}\n";
    assert_eq!(
        check("src/report/mod.rs", text),
        ["2 unfinished dbg", "4 unfinished todo", "3 printing println"]
    );
    assert_eq!(check("src/cli/mod.rs", "fn f() { println!(); }\n"), [""; 0]);
    let test = "#[test]\nfn f() {\n    println!();\n    unimplemented!()\n}\n";
    assert_eq!(check("src/report/mod.rs", test), ["4 unfinished unimplemented"]);
}

#[test]
fn lines_functions_and_files_are_short() {
    let wide = |columns: usize| format!("//{}\n", "ä".repeat(columns - 2));
    assert_eq!(check("src/db/mod.rs", &wide(100)), [""; 0]);
    assert_eq!(check("tests/x.rs", &wide(101)), ["1 width line"]);
    let function = |lines: usize| {
        format!(
            "impl T {{\n    fn long(a: [u8; 3]) -> u8\n    {{\n{}    }}\n}}\n",
            "a;\n".repeat(lines - 3)
        )
    };
    assert_eq!(check("src/db/mod.rs", &function(70)), [""; 0]);
    assert_eq!(check("src/db/mod.rs", &function(71)), ["2 function length long"]);
    let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(600));
    assert_eq!(check("src/db/mod.rs", &test), [""; 0]);
    assert_eq!(check("src/db/mod.rs", &"\n".repeat(501)), ["1 file length file"]);
    assert_eq!(check("src/db/mod.rs", &format!("{}{test}", "\n".repeat(500))), [""; 0]);
    assert_eq!(check("src/main.rs", &"\n".repeat(41)), ["1 file length main"]);
    let declared = "trait T {\n    fn f(&self);\n}\ntype F = fn(u8) -> u8;\n";
    assert_eq!(check("src/db/mod.rs", declared), [""; 0]);
}

#[test]
fn every_file_is_named() {
    let files = [
        File::new("src/lib.rs", "pub mod db;\n#[cfg(test)]\nmod oracle;\n// mod ghost;\n"),
        File::new("src/db/mod.rs", "mod a;\n"),
        File::new("src/db/a.rs", "#[path = \"else/b.rs\"]\npub mod b;\nmod c;\n"),
        File::new("src/db/else/b.rs", ""),
        File::new("src/db/a/c.rs", ""),
        File::new("src/db/c.rs", ""),
        File::new("src/oracle.rs", "mod deep;\n"),
        File::new("src/oracle/deep.rs", ""),
        File::new("src/ghost.rs", ""),
    ];
    let reach = rule::reach(&files, &BTreeSet::from(["src/lib.rs".to_owned()]));
    let dead: Vec<&str> = reach.dead.iter().map(|finding| finding.file.as_str()).collect();
    assert_eq!(dead, ["src/db/c.rs", "src/ghost.rs"]);
    assert_eq!(reach.tests, ["src/oracle.rs", "src/oracle/deep.rs"].map(str::to_owned).into());
}

#[test]
fn exceptions_must_be_needed() {
    let exceptions = [Exception {
        file: "src/db/mod.rs",
        rule: "floors",
        subject: "write",
        reason: "to show it",
    }];
    let found = |text: &str| rule::floors(&File::new("src/db/mod.rs", text));
    assert_eq!(ratchet(found("use crate::write::x;\n"), &exceptions), []);
    let left = ratchet(found("use crate::cli::x;\n"), &exceptions);
    let rules: Vec<&str> = left.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["ratchet", "floors"]);
    assert_eq!(
        show(&left[1..]),
        "src/db/mod.rs:1: floors: db (floor 3) names cli (floor 7): import down\n"
    );
}
