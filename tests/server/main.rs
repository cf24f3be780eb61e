//! Tests against a real PostgreSQL server: one server for this binary, one database a test.
//!
//! A new test goes into the file of the thing that it proves, with a sentence for its name:
//! - `harness`: the test server, databases and program runner themselves.
//!
//! What a test needs (a database, the program, bars, comparisons) is in `support`. A disaster
//! (killed server, full disk) takes a server of its own: `Server::start(true)`.

mod children;
mod dirty_million;
mod faults;
mod harness;
mod ladder;
mod support;
