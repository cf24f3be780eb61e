//! `generate`: from flags to a request.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::flags::{DatabaseFlags, ProgressChoice, StrategyChoice};
use super::{load, output, parse};
use crate::command::generate::{self, Folder, GenerateRequest, into_load};
use crate::command::{CommandError, LoadRequest, Reporting};
use crate::dataset;
use crate::db::ledger::TimeWindow;
use crate::error::Exit;
use crate::generate::{FROM_DEFAULT_US, Form, Names, Spec};
use crate::layout::GivenFacts;
use crate::limit::{MEMORY_BYTES_DEFAULT, SPILL_BYTES_MAX};
use crate::report::progress::Progress;

/// What `--help` shows.
pub const EXAMPLES: &str = "Examples:
  tidegate generate bars --out data/
  tidegate generate bars --rows 5M --tickers ACME,BTCUSDT --from 2024-01-01 --out data/
  tidegate generate orders --rows 1M --from 2024-01-01 --to 2024-12-31 --into
  tidegate generate trades --rows 5M --from 2024-01-01 --to 2024-12-31 --into
  tidegate generate bars --rows 1M --faults all --out dirty/
  tidegate generate kalshi_trades --rows 7M --tickers 260 --seed 2 --into --rate 50000

The same dataset, range, tickers, rows and seed make the same data on every machine, and loading
them again adds nothing.";

/// The flags of `generate`.
#[derive(Debug, Args)]
pub struct GenerateFlags {
    /// What to make: bars, market_trades, option_bars, orders, killmails, ...
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// Records in all, such as 250000, 500k, 5M [default: 100000, or what --from and --to hold]
    #[arg(long, value_name = "N", value_parser = parse::count)]
    rows: Option<u64>,
    /// Tickers: how many, or a list of them; of games, how many [default: by the rows]
    #[arg(long, value_name = "N|LIST")]
    tickers: Option<String>,
    /// No record before this time: RFC 3339 or a date [default: 2024-01-01]
    #[arg(long, value_name = "TS", value_parser = parse::instant)]
    from: Option<i64>,
    /// Records before this time; orders and games are spread over the range
    #[arg(long, value_name = "TS", value_parser = parse::instant)]
    to: Option<i64>,
    /// Another seed makes other data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Length of a bar, 1m to 1d [default: 1m; option_bars 5m; predictions 1h]
    #[arg(long)]
    interval: Option<String>,
    /// Records a second at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Bars and trades like those of this file: price, tick, volatility, volume, hours
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// The zone of the times in --like's file, where they have none
    #[arg(long, value_name = "ZONE", requires = "like")]
    tz: Option<String>,
    /// Write in a vendor's layout: a name, or a file ending in .toml
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "format")]
    layout: Option<String>,
    /// The form of files [default: csv; killmails: ndjson]
    #[arg(long, value_enum)]
    format: Option<FormChoice>,
    /// Mix these faults into the files, or all that apply, and write an answer key beside them
    #[arg(long, value_name = "LIST|all", value_delimiter = ',', long_help = faults_help())]
    faults: Vec<String>,
    /// Write files into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "into")]
    out: Option<PathBuf>,
    /// Load into the database
    #[arg(long)]
    into: bool,
    /// Replace files that are there
    #[arg(long)]
    yes: bool,
    /// Writers, each with a connection [default: by cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    writers: Option<u16>,
    /// How rows enter the table
    #[arg(long, value_enum, default_value_t = StrategyChoice::Auto)]
    strategy: StrategyChoice,
    /// How progress is shown
    #[arg(long, value_enum, default_value_t = ProgressChoice::Auto)]
    progress: ProgressChoice,
    /// With --into: write the report to this file (.json); may be repeated
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// With --out: print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// `--format`
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormChoice {
    /// Comma-separated, with the canonical header
    Csv,
    /// Parquet
    Parquet,
    /// A JSON object a line
    Ndjson,
    /// Killmails: a tar.bz2 with a file for each
    Archive,
}

/// Every fault, with what becomes of it.
fn faults_help() -> String {
    let mut text = "Mix these faults into the files, or all that apply, one of each a file, and \
                    write answer-key.json beside them, for `verify data --answer-key`:"
        .to_owned();
    for fault in crate::generate::fault::FAULTS {
        let _ = write!(text, "\n  {:<22} {}", fault.name, fault.about);
    }
    text
}

/// Runs `generate`.
pub async fn run(flags: &GenerateFlags) -> Result<Exit, CommandError> {
    let request = flags.request()?;
    let load = flags.load();
    let Some(folder) = flags.folder() else {
        if !flags.into {
            let why = "generate: where to? --out DIR writes files, --into loads into the database";
            return Err(CommandError::Usage(why.to_owned()));
        }
        load::report_files(&flags.report)?;
        let (load, messages) = into_load(&request, load)?;
        messages.iter().for_each(|text| output::message(text));
        return load::load(load, flags.progress, &flags.report).await;
    };
    if !flags.report.is_empty() {
        let why = "--report is for --into; files have --json";
        return Err(CommandError::Usage(why.to_owned()));
    }
    let mut progress = Progress::new(flags.progress.mode(), Box::new(std::io::stderr()));
    let stopping = || output::message("stopping: the files in hand are being finished");
    let answer = generate::run(&request, &load, &folder, stopping, |now| {
        progress.update(now);
        if now.finished {
            progress.finish();
        }
    });
    Ok(output::answer(&answer.await?, flags.json))
}

impl GenerateFlags {
    fn request(&self) -> Result<GenerateRequest, CommandError> {
        let Some(dataset) = dataset::by_name(&self.dataset) else {
            let known: Vec<&str> = dataset::ALL.iter().map(|dataset| dataset.name).collect();
            return Err(CommandError::Usage(format!(
                "generate {}: there is no such dataset; there are {}",
                self.dataset,
                known.join(", ")
            )));
        };
        load::in_order(self.from, self.to)?;
        let spec = Spec {
            dataset,
            rows: self.rows,
            names: self.names()?,
            from_us: self.from.unwrap_or(FROM_DEFAULT_US),
            to_us: self.to,
            seed: self.seed,
            interval_min: self.interval.as_deref().map(minutes).transpose()?,
            like: None,
        };
        let form = self.format.map(|form| match form {
            FormChoice::Csv => Form::Csv,
            FormChoice::Parquet => Form::Parquet,
            FormChoice::Ndjson => Form::Ndjson,
            FormChoice::Archive => Form::Archive,
        });
        let layout = self.layout.as_deref().map(load::layout);
        let facts = GivenFacts { zone: self.tz.clone(), ..GivenFacts::default() };
        let like = self.like.clone().map(|path| (path, facts));
        let faults = self.faults.clone();
        Ok(GenerateRequest { spec, like, form, layout, rate: self.rate, faults })
    }

    fn names(&self) -> Result<Names, CommandError> {
        let Some(text) = self.tickers.as_deref() else { return Ok(Names::Enough) };
        if let Ok(count) = text.trim().parse::<usize>() {
            return match count {
                1..=20_000 => Ok(Names::Count(count)),
                _ => Err(CommandError::Usage("--tickers: 1 to 20000, or a list".to_owned())),
            };
        }
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim) {
            if name.is_empty() || name.contains(|c: char| c.is_control() || c == '"') {
                return Err(CommandError::Usage(format!("--tickers {text:?}: {name:?} is none")));
            }
            if names.iter().any(|known| known == name) {
                return Err(CommandError::Usage(format!("--tickers names {name} twice")));
            }
            names.push(name.to_owned());
        }
        Ok(Names::Listed(names))
    }

    fn folder(&self) -> Option<Folder> {
        let path = self.out.clone()?;
        Some(Folder { path, replace: self.yes })
    }

    fn load(&self) -> LoadRequest {
        LoadRequest {
            inputs: Vec::new(),
            made: Vec::new(),
            access: self.database.access(),
            table: None,
            layout: None,
            facts: GivenFacts::default(),
            on_conflict: None,
            reload: false,
            verify: false,
            strategy: self.strategy.strategy(),
            writers: self.writers.map(usize::from),
            memory_bytes: MEMORY_BYTES_DEFAULT,
            spill_bytes_max: SPILL_BYTES_MAX,
            rejects_max: None,
            no_check: Vec::new(),
            window: TimeWindow::default(),
            rows_per_sec_max: None,
            polite: false,
            shard: None,
            units: None,
            retry_deadline: parse::RETRY_DEADLINE,
            arguments: load::without_credentials(std::env::args()),
            reporting: Reporting::default(),
        }
    }
}

/// An interval in minutes.
fn minutes(text: &str) -> Result<u32, CommandError> {
    let spelled = load::interval(text)?;
    let split = spelled.find(|c: char| !c.is_ascii_digit()).unwrap_or(spelled.len());
    let unit = match &spelled[split..] {
        "m" => Some(1),
        "h" => Some(60),
        "d" => Some(1_440),
        _ => None,
    };
    let number: Option<u32> = spelled[..split].parse().ok();
    unit.zip(number)
        .and_then(|(unit, number)| number.checked_mul(unit))
        .ok_or_else(|| CommandError::Usage(format!("--interval {text}: bars are made of 1m to 1d")))
}
