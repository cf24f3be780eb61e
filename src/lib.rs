//! Bulk loading of market data into PostgreSQL and TimescaleDB: files stream through bounded
//! channels into parallel COPY writers; nothing is lost and nothing is loaded twice.
//!
//! The rooms are stacked in floors: each imports only from floors below its own. `tests/tidy.rs`
//! holds the list and keeps it true; `docs/architecture.md` draws it.

// Floor 1 and 0: what the data are, and the words.
pub mod batch;
pub mod column;
pub mod count;
pub mod dataset;
pub mod error;
pub mod layout;
pub mod limit;
pub mod mapping;
pub mod span;
