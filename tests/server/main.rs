//! Tests against a real PostgreSQL server: one server for this binary, one database a test.
//!
//! A new test goes into the file of the thing that it proves, with a sentence for its name:
//! - `ladder`, `children`: each rung, for one table and for several.
//! - `faults`: disasters, and that every load survives them.
//! - `dirty_million`: a big file with a few bad rows of every kind.
//! - `harness`: the test server, databases and program runner themselves.
//! - `ops`: the embedded server, migrations, status and doctor, as the library has them.
//! - `rejects`: what was refused is exported, mended and replayed, once.
//!
//! What a test needs (a database, the program, bars, comparisons) is in `support`. A disaster
//! (killed server, full disk) takes a server of its own: `Server::start(true)`.

mod children;
mod dirty_million;
mod faults;
mod harness;
mod ladder;
mod ops;
mod rejects;
mod support;
