//! Tests against a real PostgreSQL server: one server for this binary, one database a test.
//!
//! A new test goes into the file of the thing that it proves, with a sentence for its name:
//! - `conflicts`: equal keys in a batch, across files and in the table, under each policy.
//! - `dirty_million`: a big file with a few bad rows of every kind.
//! - `encode`: values of every pair of types, there and back.
//! - `exit_codes`: each exit code with a real cause.
//! - `faults`: disasters, and that every load survives them.
//! - `fixtures_load`: every fixture, good and broken.
//! - `ladder`, `children`: each rung, for one table and for several.
//! - `harness`: the test server, databases and program runner themselves.
//! - `ops`: the embedded server, migrations, status and doctor, as the library has them.
//! - `plan`: what a plan shows, that it writes nothing, and parts of it.
//! - `real_files`: files of real vendors, where they are.
//! - `rejects`: what was refused is exported, mended and replayed, once.
//! - `report`: the report's keys and values, progress, and what no output may hold.
//! - `sources`: compressed files and archives.
//! - `tables`: tables of the user's own.
//!
//! What a test needs (a database, the program, bars, comparisons) is in `support`. A disaster
//! (killed server, full disk) takes a server of its own: `Server::start(true)`.

mod children;
mod conflicts;
mod dirty_million;
mod encode;
mod exit_codes;
mod faults;
mod fixtures_load;
mod harness;
mod ladder;
mod ops;
mod plan;
mod real_files;
mod rejects;
mod report;
mod sources;
mod support;
mod tables;
