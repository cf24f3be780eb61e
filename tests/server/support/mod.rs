//! What every test here needs: a server, a database, the program, bars to load, comparisons.
//!
//! The server is made of system programs; if there are none the tests fail and say what to
//! install. Variables: `TIDEGATE_TEST_PG_BIN` names the folder of `initdb` and `postgres`;
//! `TIDEGATE_TEST_KEEP=1` keeps the data of a failed test and prints how to open them.

mod bars;
mod browser;
mod db;
mod find;
mod lines;
mod load;
mod program;
mod server;
mod web;

use std::path::PathBuf;

pub use bars::Bars;
pub use browser::opens;
pub use db::{Client, TestDb, except_all, same_rows};
pub use lines::{Lines, equations};
pub use load::{BARS, COUNTS, adds_up, backfill, closes, count, file, file_entry, load, totals};
pub use program::{Outcome, Program, Running};
pub use server::{Server, StopMode};
pub use web::{Faults, S3, Web};

/// A file or folder under `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
