//! `loadtest`: its flags, resolved into a request.

use std::time::Duration;

use clap::Args;

use super::{output, parse};
use crate::command::loadtest::{LoadTestRequest, run as run_test};
use crate::command::{Access, Answer, CommandError};
use crate::limit::{LOADTEST_RAMP_SECONDS, LOADTEST_ROWS, LOADTEST_SECONDS};

/// What `--help` shows.
pub const EXAMPLES: &str = "Examples:
  tidegate loadtest --rate 100000/day
  tidegate loadtest --dataset trades --rate 2000 --duration 5m --queries 8
  tidegate loadtest --rate 1000 --ramp --yes --json

Bounds: it ends after --duration (60 s; with --ramp 10 min), or after --rows rows (5,000,000), or at
Ctrl-C, and shows what it has measured. It refuses a table with rows unless --yes is given. Its rows
are marked (a key or symbol that begins with `loadtest-`, or the tickers of a venue `loadtest`) and
are taken away at the end, unless --keep is given.

Writers COPY batches as a live feed would: without ledger, rejects or staging. What a load costs
beside queries is `tidegate generate DATASET --into --rate N` and `tidegate bench`.

Latency counts from the moment at which a query or a batch was due. Exit code 1 when a target was
missed at the rate that was set; with --ramp, at the first rate.";

/// The flags of `loadtest`.
#[derive(Debug, Clone, Args)]
pub struct LoadTestFlags {
    /// What is written: trades, orders, bars, market_trades, option_bars, option_strike_bars,
    /// predictions, block_predictions, kalshi_trades, game_states
    #[arg(long, value_name = "NAME", default_value = "trades")]
    dataset: String,
    /// Rows: 1000 (a second), 50000/min, 100000/day
    #[arg(long, value_name = "N[/UNIT]", value_parser = parse::rate, default_value = "1000")]
    rate: f64,
    /// Raise the rate step by step, each time by this factor, until a target is missed twice
    #[arg(long, value_name = "FACTOR", num_args = 0..=1, default_missing_value = "1.5",
          value_parser = parse::factor)]
    ramp: Option<f64>,
    /// How long each step of --ramp is
    #[arg(long, value_name = "TIME", value_parser = parse::pause, default_value = "20s")]
    step: Duration,
    /// Query workers, each with a connection; 0: only write
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u16).range(0..=256))]
    queries: u16,
    /// Queries that each worker asks in a second
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    query_rate: u16,
    /// Writers, each with a connection, that take batches in turn
    #[arg(long, value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    writers: u16,
    /// From one batch to the next
    #[arg(long, value_name = "TIME", value_parser = parse::pause, default_value = "1s")]
    batch_interval: Duration,
    /// How long in all [default: 60s, with --ramp 10m]
    #[arg(long, value_name = "TIME", value_parser = parse::pause)]
    duration: Option<Duration>,
    /// Rows in all, at most, such as 500k, 5M [default: 5M]
    #[arg(long, value_name = "N", value_parser = parse::count)]
    rows: Option<u64>,
    /// How often the statistics of the last 24 hours are refreshed meanwhile
    #[arg(long, value_name = "TIME", value_parser = parse::pause, default_value = "5m")]
    refresh_every: Duration,
    /// Leave what was written
    #[arg(long)]
    keep: bool,
    /// Write into a table that has rows
    #[arg(long)]
    yes: bool,
    /// Only take away what earlier load tests left
    #[arg(long)]
    clean: bool,
}

/// Runs `loadtest`.
pub async fn run(flags: &LoadTestFlags, access: Access) -> Result<Answer, CommandError> {
    let stopping = || output::message("stopping: what was measured is shown in a moment");
    run_test(&flags.request(access), stopping, output::message).await
}

impl LoadTestFlags {
    /// The flags resolved.
    fn request(&self, access: Access) -> LoadTestRequest {
        let seconds = if self.ramp.is_some() { LOADTEST_RAMP_SECONDS } else { LOADTEST_SECONDS };
        LoadTestRequest {
            access,
            dataset: self.dataset.clone(),
            rate: self.rate,
            ramp: self.ramp,
            step: self.step,
            queries: self.queries.into(),
            query_rate: self.query_rate.into(),
            writers: self.writers.into(),
            every: self.batch_interval,
            duration: self.duration.unwrap_or(Duration::from_secs(seconds)),
            rows_max: self.rows.unwrap_or(LOADTEST_ROWS),
            refresh_every: self.refresh_every,
            keep: self.keep,
            yes: self.yes,
            clean: self.clean,
        }
    }
}
