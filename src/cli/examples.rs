//! What the longer helps end with.

/// Of `gaps`.
pub const GAPS: &str = "Examples:
  tidegate gaps
  tidegate gaps --ticker AAPL --interval 1m --from 2024-01-01 --to 2024-07-01 --calendar nyse
  tidegate gaps --calendar xetra.toml --json

A calendar file:
  name = \"xetra\"
  zone = \"Europe/Berlin\"
  sessions = [\"09:00-17:30\"]      # Monday to Friday, or as days = [\"mon\", ...] says
  holidays = [\"2024-12-25\"]
  early = { \"2024-12-30\" = \"14:00\" }

Exit code 0 whatever is missing.";

/// Of `inspect`.
pub const INSPECT: &str = "Examples:
  tidegate inspect BTCUSDT-1h-2024-12.csv
  tidegate inspect archive.zip data/*.csv.gz
  gunzip -c bars.csv.gz | tidegate inspect -
  tidegate inspect odd.csv --write-layout odd.toml
  tidegate backfill odd.csv --layout odd.toml --symbol ACME

Exit code 1 when a file named here is not recognised.";
