//! Tests against a real PostgreSQL server: one server for this binary, one database a test.
//!
//! A new test goes into the file of the thing that it proves, with a sentence for its name:
//! - `bench`, `loadtest`: the critical queries, alone and beside writers.
//! - `broken`: every broken file, by the table of its family.
//! - `conflicts`: equal keys in a batch, across files and in the table, under each policy.
//! - `datasets`: every dataset, there and back, and what is special about some.
//! - `domains`: what the databases of the domains have beyond loading.
//! - `dirty_million`: a big file with a few bad rows of every kind.
//! - `encode`: values of every pair of types, there and back.
//! - `exit_codes`: each exit code with a real cause.
//! - `faulty`: generated files with faults, held to their answer key.
//! - `faults`: disasters, and that every load survives them.
//! - `fixtures_load`: every fixture, good and broken.
//! - `gaps`: bars that are missing, by calendar.
//! - `generate`: load-test data, as files and straight into the database.
//! - `inspect`: what is said of a file, and layouts that are drafted for unknown ones.
//! - `json`: JSON in all its shapes.
//! - `ladder`, `children`: each rung, for one table and for several.
//! - `lookalikes`: files that look like a vendor's and are not, and what names of columns in other
//!   languages load as.
//! - `harness`: the test server, databases and program runner themselves.
//! - `killmails`: killmails, whose rows are in three tables.
//! - `nightly`: the cron job, night after night.
//! - `ops`: the embedded server, migrations, status and doctor, as the library has them.
//! - `plan`: what a plan shows, that it writes nothing, and parts of it.
//! - `real_files`: files of real vendors, where they are.
//! - `records`: the layouts of vendors whose files are no plain bars, file by file.
//! - `memo`: what is unchanged is not read again.
//! - `rejects`: what was refused is exported, mended and replayed, once.
//! - `remote`: objects of stores and files behind URLs, and the same rows in every form.
//! - `report`: the report's keys and values, progress, and what no output may hold.
//! - `sources`: compressed files and archives.
//! - `scatter`: loads whose rows are sorted first, and partitions that are filled apart.
//! - `stops`: errors that waiting does not cure, and what they say.
//! - `stops`: errors that waiting does not cure, and what they say.
//! - `scatter`: loads whose rows are sorted first, and partitions that are filled apart.
//! - `rules`: market rules and warnings.
//! - `tables`, `types`: tables of the user's own, and their columns' types.
//! - `timescale`: the same on TimescaleDB, where there is a server.
//! - `upkeep`: partitions ahead, retention and archives, vacuuming and reindexing.
//! - `watching`: reports in a browser, metrics, the live view, politeness.
//! - `verify`: the schema as migrations make it, and what `verify` finds.
//! - `verify_data`: rows against the ledger, and against files.
//! - `vendors`: the layouts of vendors, file by file.
//!
//! What a test needs (a database, the program, bars, comparisons) is in `support`. A disaster
//! (killed server, full disk) takes a server of its own: `Server::start(true)`.

mod bench;
mod broken;
mod children;
mod columnar;
mod conflicts;
mod datasets;
mod dirty_million;
mod domains;
mod encode;
mod exit_codes;
mod exports;
mod faults;
mod faulty;
mod fixtures_load;
mod gaps;
mod generate;
mod harness;
mod inspect;
mod json;
mod killmails;
mod ladder;
mod loadtest;
mod lookalikes;
mod memo;
mod nightly;
mod ops;
mod plan;
mod real_files;
mod records;
mod rejects;
mod remote;
mod report;
mod rules;
mod scatter;
mod security;
mod sources;
mod stops;
mod support;
mod tables;
mod timescale;
mod types;
mod upkeep;
mod vendors;
mod verify;
mod verify_data;
mod watching;
