//! Bulk loading of market data into PostgreSQL and TimescaleDB: files stream through bounded
//! channels into parallel COPY writers; nothing is lost and nothing is loaded twice.
//!
//! The rooms are stacked in floors: each imports only from floors below its own. `tests/tidy.rs`
//! holds the list and keeps it true; `docs/architecture.md` draws it.

// Floor 7: flags as typed, and what people see.
pub mod cli;

// Floor 6: one verb a file.
pub mod command;

// Floor 5: where threads, tasks and channels of a load live.
pub mod pipeline;

// Floor 4: how rows enter a table.
pub mod write;

// Floor 3: the target database.
pub mod db;

// Floor 2: side by side, strangers to each other.
pub mod check;
pub mod decode;
pub mod encode;
pub mod generate;
pub mod layout;
pub mod report;
pub mod source;
pub mod spill;

// Floor 1 and 0: what the data are, and the words.
pub mod batch;
pub mod calendar;
pub mod column;
pub mod count;
pub mod dataset;
pub mod error;
pub mod json;
pub mod limit;
pub mod mapping;
pub mod month;
pub mod read_at;
pub mod span;
