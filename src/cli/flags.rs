//! The flags as they are typed. Names are part of the command-line contract.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{examples, parse};
use crate::command::migrate;
use crate::pipeline::RejectBudget;

/// Loads market data in bulk into PostgreSQL and TimescaleDB: nothing lost, nothing loaded twice.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Load files into the database
    #[command(after_help = BACKFILL_EXAMPLES)]
    Backfill {
        #[command(flatten)]
        load: Box<LoadFlags>,
        /// Load only these units of the plan: 3, or 3-7
        #[arg(long, value_name = "RANGE", value_parser = parse::range)]
        units: Option<(u64, u64)>,
    },
    /// The cron job: load what is new or changed of each source, then look after the database
    #[command(after_help = super::nightly::EXAMPLES)]
    Nightly {
        #[command(flatten)]
        nightly: Box<super::nightly::NightlyFlags>,
    },
    /// Show what a backfill would load, and write nothing
    #[command(after_help = "Examples:\n  tidegate plan data/ --units\n  tidegate plan data/ \
                            --units=3-7 --json")]
    Plan {
        #[command(flatten)]
        load: Box<LoadFlags>,
        /// Say of each unit, or of these alone, why it was recognised and how it will be loaded
        #[arg(long, value_name = "RANGE", num_args = 0..=1, require_equals = true,
              value_parser = parse::range)]
        units: Option<Option<(u64, u64)>>,
        /// Print the plan as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a file is: layout, columns, range, interval, quality; needs no database
    #[command(after_help = examples::INSPECT)]
    Inspect {
        /// Files, directories, globs, or - for standard input
        #[arg(required = true, value_name = "PATH")]
        inputs: Vec<String>,
        #[command(flatten)]
        facts: FactFlags,
        /// Draft a layout for a file that none knows, and write it here
        #[arg(long, value_name = "FILE.toml")]
        write_layout: Option<PathBuf>,
        /// Read large files to their ends, instead of their first 256 MiB
        #[arg(long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make load-test data: into files, or straight into the database
    #[command(after_help = super::generate::EXAMPLES)]
    Generate(Box<super::generate::GenerateFlags>),
    /// Show which bars are missing, by ticker and the sessions of a market
    #[command(after_help = examples::GAPS)]
    Gaps {
        /// Only this symbol
        #[arg(long, value_name = "SYMBOL")]
        ticker: Option<String>,
        /// Only this interval, such as 1m, 1h, 1d
        #[arg(long)]
        interval: Option<String>,
        /// From this time on: RFC 3339 or a date
        #[arg(long, value_name = "TS", value_parser = parse::instant)]
        from: Option<i64>,
        /// Before this time
        #[arg(long, value_name = "TS", value_parser = parse::instant)]
        to: Option<i64>,
        /// 24x7, weekdays, nyse, forex, or a file ending in .toml [default: 24x7 or weekdays, as
        /// the bars of each ticker are]
        #[arg(long, value_name = "NAME|FILE.toml")]
        calendar: Option<String>,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show runs, what is loading now, and where to resume
    #[command(
        after_help = "Examples:\n  tidegate status\n  tidegate status 12 --json\n  tidegate status \
                            --watch"
    )]
    Status {
        /// One run, by its number
        #[arg(value_parser = parse::run)]
        run: Option<i64>,
        /// Runs to show
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Show what is loading right now, again every second, until q or Ctrl-C; without a
        /// terminal as lines, with --json as an object a line
        #[arg(long, conflicts_with_all = ["run", "limit"])]
        watch: bool,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at, mend and replay what was refused
    #[command(after_help = REJECTS_EXAMPLES)]
    Rejects {
        #[command(subcommand)]
        action: super::load::RejectsVerb,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Create, drop or show the tables of the domains
    #[command(after_help = "Examples:\n  tidegate migrate up\n  tidegate migrate down --domain \
                            market --yes\n  tidegate migrate status")]
    Migrate {
        /// What to do
        #[arg(value_enum, default_value_t = MigrateVerb::Up)]
        action: MigrateVerb,
        /// Only this domain
        #[arg(long)]
        domain: Option<String>,
        /// up: only what loads need, without indexes and functions for queries
        #[arg(long)]
        tables: bool,
        /// Drop tables that have rows
        #[arg(long)]
        yes: bool,
        /// Print the SQL and run nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make aggregates and materialized views fresh again, where loads touched them
    #[command(after_help = "Examples:\n  tidegate refresh\n  tidegate refresh \
                            fo_option_strike_bars_5min\n  tidegate refresh --rebuild \
                            fo_option_strike_bars_15min")]
    Refresh {
        /// Only these [default: all that are there]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// As if nothing had ever been refreshed
        #[arg(long)]
        full: bool,
        /// Make option bars anew beside the old ones and swap them at the end
        #[arg(long)]
        rebuild: bool,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check schema, indexes and partitions, and rows against the ledger and against files
    #[command(after_help = "Examples:\n  tidegate verify\n  tidegate verify schema --json\n  \
                            tidegate verify data bars/*.csv.gz\n\nExit code 1: a fault is found.")]
    Verify {
        /// Only this part [default: all]
        #[arg(value_enum)]
        what: Option<VerifyWhat>,
        /// With data: files that were loaded, whose every record is compared with its row
        #[arg(value_name = "PATH")]
        paths: Vec<String>,
        /// With data: what `generate --faults` says must be in the database
        #[arg(long, value_name = "FILE")]
        answer_key: Option<PathBuf>,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Run the critical queries: p50, p95, p99, plan, target, pass or fail
    #[command(after_help = BENCH_EXAMPLES)]
    Bench {
        /// Only queries of this domain
        #[arg(long)]
        domain: Option<String>,
        /// Only this query, by its name; may be repeated
        #[arg(long = "query", value_name = "NAME")]
        names: Vec<String>,
        /// Seconds for the runs of each query
        #[arg(long, value_name = "N", default_value_t = crate::limit::BENCH_SECONDS,
              value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
        /// Compare with this earlier output of --json, and fail where a query became slower
        #[arg(long, value_name = "FILE")]
        baseline: Option<PathBuf>,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON, with the plans
        #[arg(long)]
        json: bool,
    },
    /// Write at a set or rising rate, ask the critical queries beside, and say which targets hold
    #[command(after_help = super::loadtest::EXAMPLES)]
    Loadtest {
        #[command(flatten)]
        flags: super::loadtest::LoadTestFlags,
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Start, stop and use the embedded PostgreSQL
    #[command(after_help = "Examples:\n  tidegate db start\n  tidegate db psql -- -c 'SELECT 1'")]
    Db {
        #[command(subcommand)]
        action: DbVerb,
    },
    /// Check server, rights, settings, disk and clock, and say what to change
    #[command(after_help = "Example:\n  tidegate doctor --database-url postgres://host/market")]
    Doctor {
        #[command(flatten)]
        database: DatabaseFlags,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  tidegate completions bash > \
                            /etc/bash_completion.d/tidegate")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const BACKFILL_EXAMPLES: &str = "Examples:
  tidegate backfill BTCUSDT-1h-2024-12.csv
  tidegate backfill data/ --report report.json
  tidegate backfill ticks.csv --symbol ACME --interval 1m --tz America/New_York
  tidegate backfill bars.parquet --table public.my_bars --on-conflict update
  gunzip -c bars.csv.gz | tidegate backfill - --symbol ACME --interval 1m

Exit codes: 0 all records loaded or accounted for, 1 failed, 2 usage, 3 done with rejects,
4 stopped by --max-rejects, 70 the accounts do not add up, 75 locked, 130 interrupted (resumable).";

const BENCH_EXAMPLES: &str = "Examples:
  tidegate bench
  tidegate bench --domain trading --json > before.json
  tidegate bench --domain trading --baseline before.json

Each query runs for 3 seconds at most (--seconds) with values picked from the data, after a first
round that warms the cache. It writes nothing. Exit code 1 when a target is missed, a plan lacks
the index that it should use, or a query is slower than in the baseline.";

const REJECTS_EXAMPLES: &str = "Examples:
  tidegate rejects list
  tidegate rejects show 17
  tidegate rejects export --out rejects.csv
  tidegate rejects replay rejects.csv";

/// Which database.
#[derive(Debug, Clone, Args)]
pub struct DatabaseFlags {
    /// The database; without it the PG* variables, then the embedded server
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,
}

/// What files may not say themselves.
#[derive(Debug, Clone, Args)]
pub struct FactFlags {
    /// What the rows mean [default: recognised]
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// The file's layout: a name, or a file ending in .toml [default: recognised]
    #[arg(long, value_name = "NAME|FILE")]
    pub layout: Option<String>,
    /// The ticker, if the file does not say it
    #[arg(long)]
    pub symbol: Option<String>,
    /// The bars' interval, such as 1m, 1h, 1d, if the file does not say it
    #[arg(long)]
    pub interval: Option<String>,
    /// The zone of times that carry no offset: UTC-5, Europe/Paris
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub tz: Option<String>,
    /// The day of times that count from midnight, as 2024-01-31, if the file's name does not say it
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
    /// The venue of the tickers, if the layout does not say it
    #[arg(long)]
    pub venue: Option<String>,
}

/// The flags of `backfill` and `plan`.
#[derive(Debug, Clone, Args)]
pub struct LoadFlags {
    /// Files, directories, globs, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub facts: FactFlags,
    /// A table of yours: columns are matched by name, types come from the catalogue
    #[arg(long, value_name = "SCHEMA.TABLE")]
    pub table: Option<String>,
    /// What happens to a record whose key is stored [default: the dataset's]
    #[arg(long, value_enum)]
    pub on_conflict: Option<Conflict>,
    /// Load contents again that the ledger has as done
    #[arg(long)]
    pub reload: bool,
    /// Count the records a second time, by other code
    #[arg(long)]
    pub verify: bool,
    /// How rows enter the table
    #[arg(long, value_enum, default_value_t = StrategyChoice::Auto)]
    pub strategy: StrategyChoice,
    /// Writers, each with a connection [default: by cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub writers: Option<u16>,
    /// Memory for chunks and batches, such as 96MiB
    #[arg(long, value_name = "SIZE", value_parser = parse::memory)]
    pub memory: Option<usize>,
    /// Disk that sorting may use at once: more is sorted in turns. The folder is
    /// TIDEGATE_SPILL_DIR, else /var/tmp [default: 16GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    pub spill_max: Option<usize>,
    /// Stop at more rejects than this: a number, or a share such as 1%
    #[arg(long, value_name = "N|P%", value_parser = parse::reject_budget)]
    pub max_rejects: Option<RejectBudget>,
    /// Rules and warnings that are not looked at: names from reports, or all
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = parse::rule)]
    pub no_check: Vec<String>,
    /// Skip rows before this time: RFC 3339 or a date
    #[arg(long, value_name = "TS", value_parser = parse::instant)]
    pub from: Option<i64>,
    /// Skip rows at or after this time
    #[arg(long, value_name = "TS", value_parser = parse::instant)]
    pub to: Option<i64>,
    /// Load no faster than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_rows_per_sec: Option<u64>,
    /// Wait while replicas are behind, checkpoints cannot keep up, others wait for our locks, or
    /// the server's disk is nearly full
    #[arg(long)]
    pub polite: bool,
    /// Load part I of N of the units, I from 0
    #[arg(long, value_name = "I/N", value_parser = parse::shard)]
    pub shard: Option<(u64, u64)>,
    /// How long a batch is tried: 90s, 15m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse::duration, default_value = "15m")]
    pub retry_deadline: Duration,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto)]
    pub progress: ProgressChoice,
    /// Write the report to this file, as its ending says: .json, .html, or .prom for Prometheus;
    /// may be repeated
    #[arg(long, value_name = "FILE")]
    pub report: Vec<PathBuf>,
    /// Plan only, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Answer yes where a question would be asked
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub database: DatabaseFlags,
}

/// `--on-conflict`
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Conflict {
    /// The stored row stays
    Skip,
    /// The record replaces the stored row
    Update,
    /// The record is rejected
    Reject,
    /// The load stops
    Error,
}

/// `--strategy`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyChoice {
    /// The planner decides
    Auto,
    /// COPY into the table
    Direct,
    /// COPY into a temporary table, then merge
    Stage,
    /// Sort all rows first; fill fresh partitions apart, key and attach them
    Exchange,
}

/// `--progress`
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, else lines
    Auto,
    /// A bar
    Bar,
    /// A line every few seconds
    Plain,
    /// A JSON object a line
    Json,
    /// Nothing
    None,
}

/// `migrate`
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MigrateVerb {
    /// Create what is missing
    Up,
    /// Drop a domain's tables
    Down,
    /// Show what is there
    Status,
}

impl From<MigrateVerb> for migrate::Action {
    fn from(verb: MigrateVerb) -> Self {
        match verb {
            MigrateVerb::Up => migrate::Action::Up,
            MigrateVerb::Down => migrate::Action::Down,
            MigrateVerb::Status => migrate::Action::Status,
        }
    }
}

/// `db`
#[derive(Debug, Subcommand)]
pub enum DbVerb {
    /// Start it, if it does not run
    Start,
    /// Stop it
    Stop,
    /// Show whether it runs, and where its files are
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print its URL
    Url,
    /// Open psql, or run psql with the arguments after --
    Psql {
        /// Arguments for psql
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Delete it and all data in it
    Destroy {
        /// Yes, delete everything
        #[arg(long)]
        yes: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_a_plan_are_all_or_some() {
        let units = |words: &[&str]| match Cli::try_parse_from(words).unwrap().verb {
            Verb::Plan { units, load, .. } => (units, load.inputs),
            Verb::Backfill { units, load } => (Some(units), load.inputs),
            _ => panic!("another verb"),
        };
        let inputs = vec!["data".to_owned()];
        assert_eq!(units(&["tidegate", "plan", "data"]), (None, inputs.clone()));
        assert_eq!(units(&["tidegate", "plan", "--units", "data"]), (Some(None), inputs.clone()));
        let some = Some(Some((3, 7)));
        assert_eq!(units(&["tidegate", "plan", "--units=3-7", "data"]), (some, inputs.clone()));
        assert_eq!(units(&["tidegate", "backfill", "--units", "3-7", "data"]), (some, inputs));
    }
}

/// What `verify` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyWhat {
    /// Tables, columns, indexes and everything else that migrations make
    Schema,
    /// Ranges of time
    Partitions,
    /// Rows against the ledger, and against files
    Data,
}

impl From<VerifyWhat> for crate::command::verify::What {
    fn from(what: VerifyWhat) -> Self {
        match what {
            VerifyWhat::Schema => Self::Schema,
            VerifyWhat::Partitions => Self::Partitions,
            VerifyWhat::Data => Self::Data,
        }
    }
}
