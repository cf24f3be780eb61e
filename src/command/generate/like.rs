//! `--like FILE`: what a real file's bars or trades are like, read by the layouts and decoders of a
//! load. All that is fitted is made by arithmetic that is the same everywhere, so that the same
//! file gives the same data on every machine.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::calendar;
use crate::command::inspect::{mapping, read};
use crate::command::survey::{Source, survey};
use crate::command::{CommandError, LoadRequest};
use crate::dataset;
use crate::decode::{DecodeError, ParquetSource};
use crate::generate::math::{ln, round};
use crate::generate::{Like, PROFILE_PARTS};
use crate::mapping::Mapping;
use crate::source::ContentReader;

const DAY_US: i64 = 86_400_000_000;
const MINUTE_US: i64 = 60_000_000;
/// Units of a price or quantity in 1.
const UNITS: f64 = 1e8;
/// Records that are looked at.
const ROWS_MAX: usize = 2_000_000;
/// Records without which nothing can be fitted.
const ROWS_MIN: usize = 30;

/// What was found, and a sentence on it for people.
#[derive(Debug)]
pub struct Fitted {
    /// The parameters.
    pub like: Like,
    /// In words.
    pub says: String,
}

/// A bar or a trade.
#[derive(Debug, Clone, Copy)]
struct Seen {
    ts_us: i64,
    price: f64,
    size: f64,
    trades: Option<i64>,
}

/// The records of a file's first ticker.
#[derive(Debug, Default)]
struct Looked {
    symbol: Option<String>,
    seen: Vec<Seen>,
    /// Records of other tickers.
    others: u64,
}

/// Fits a file. `request` says how it is read; its only input is the file.
///
/// # Errors
/// When it cannot be read, or says too little.
pub fn fit(request: &LoadRequest, path: &Path) -> Result<Fitted, CommandError> {
    let refused = |why: &str| CommandError::Refused(format!("--like {}: {why}", path.display()));
    let survey = survey(request)?;
    if let Some((name, why)) = survey.failed.first() {
        return Err(CommandError::Refused(format!("--like {name}: {why}")));
    }
    let fits =
        |source: &&Source| ["bars", "market_trades"].contains(&source.recognised.dataset.as_str());
    let source = survey.sources.iter().find(fits);
    let source = source.ok_or_else(|| refused("it holds neither bars nor trades"))?;
    let bars = source.recognised.dataset == "bars";
    let mut looked = look(source)?;
    looked.seen.sort_by_key(|seen| seen.ts_us);
    if looked.seen.len() < ROWS_MIN {
        return Err(refused(&format!("fewer than {ROWS_MIN} records of a ticker say too little")));
    }
    let fitted = fitted(&looked.seen, bars);
    let symbol = looked.symbol.as_deref().unwrap_or("its ticker");
    let more = match looked.others {
        0 => String::new(),
        others => format!("; {others} records of other tickers were not looked at"),
    };
    let says = format!(
        "like {symbol} in {}: price {}, tick {}, daily volatility {:.2} %, {:.0} a day in {:.0} \
         trades, {}{more}",
        path.display(),
        fitted.price,
        fitted.tick as f64 / UNITS,
        fitted.volatility * 100.0,
        fitted.volume * fitted.lot as f64 / UNITS,
        fitted.trades,
        hours(&fitted)
    );
    Ok(Fitted { like: fitted, says })
}

fn hours(like: &Like) -> String {
    match like.hours {
        None if like.around_the_clock => "around the clock".to_owned(),
        None => "in New York's sessions".to_owned(),
        Some((start, end)) => {
            let clock = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
            format!("on weekdays from {} to {} UTC", clock(start), clock(end))
        }
    }
}

fn look(source: &Source) -> Result<Looked, CommandError> {
    let of = dataset::by_name(&source.recognised.dataset);
    let of = of.ok_or_else(|| CommandError::Refused("no dataset".to_owned()))?;
    let mapping = mapping(&source.recognised, of);
    let mut looked = Looked::default();
    let mut take = |piece: read::Piece| looked.add(&piece.decoded.root, &mapping);
    let open = || ContentReader::open(&source.location, source.fingerprint.clone(), 0);
    let enough = crate::limit::INSPECT_BYTES_MAX;
    match (&source.recognised.shape, &source.recognised.json) {
        (Some(shape), _) => {
            let mut reader = open()?;
            let input = read::Input { name: &source.name, bytes: &mut reader, enough };
            read::text(input, shape, &mapping, take)?;
        }
        (None, Some(shape)) => {
            let mut reader = open()?;
            let input = read::Input { name: &source.name, bytes: &mut reader, enough };
            read::json(input, shape, &mapping, take)?;
        }
        (None, None) => {
            let plain = |error: DecodeError| CommandError::Refused(error.to_string());
            let bytes = source.location.bytes(Some(&source.fingerprint))?;
            let file = ParquetSource::over(Path::new(&*source.name), bytes).map_err(plain)?;
            for unit in file.units() {
                for decoded in file.read_unit(&unit, &mapping).map_err(plain)? {
                    let decoded = decoded.map_err(plain)?;
                    let original = crate::batch::Original::Columns;
                    take(read::Piece { decoded, original, first_line: 0, first_row: 1, start: 0 });
                }
            }
        }
    }
    Ok(looked)
}

impl Looked {
    fn add(&mut self, batch: &RecordBatch, mapping: &Mapping) {
        let at = |name: &str| mapping.columns.iter().position(|column| column.name == name);
        let column = |name: &str| at(name).map(|at| batch.column(at));
        let floats = |name: &str| column(name)?.as_primitive_opt::<Float64Type>();
        let times = column("ts").and_then(|of| of.as_primitive_opt::<TimestampMicrosecondType>());
        let prices = floats("close").or_else(|| floats("price"));
        let (Some(times), Some(prices)) = (times, prices) else { return };
        let sizes = floats("volume").or_else(|| floats("size"));
        let trades = column("trade_count").and_then(|of| of.as_primitive_opt::<Int64Type>());
        let symbols = column("symbol").and_then(|of| of.as_dictionary_opt::<Int32Type>());
        let words = symbols.and_then(|of| of.values().as_string_opt::<i32>());
        for row in 0..batch.num_rows() {
            let symbol =
                symbols.zip(words).map(|(of, words)| words.value(of.keys().value(row) as usize));
            if self.symbol.is_none() {
                self.symbol = symbol.map(str::to_owned);
            }
            if self.symbol.as_deref() != symbol || self.seen.len() == ROWS_MAX {
                self.others += 1;
                continue;
            }
            if times.is_null(row) || prices.is_null(row) || prices.value(row) <= 0.0 {
                continue;
            }
            let size = sizes.filter(|of| of.is_valid(row)).map_or(0.0, |of| of.value(row));
            let trades = trades.filter(|of| of.is_valid(row)).map(|of| of.value(row));
            let (ts_us, price) = (times.value(row), prices.value(row));
            self.seen.push(Seen { ts_us, price, size, trades });
        }
    }
}

/// Fits records in the order of time.
fn fitted(seen: &[Seen], bars: bool) -> Like {
    let days: BTreeMap<i64, (i64, i64)> = seen.iter().fold(BTreeMap::new(), |mut days, seen| {
        let of = days.entry(seen.ts_us.div_euclid(DAY_US)).or_insert((seen.ts_us, seen.ts_us));
        of.1 = seen.ts_us;
        days
    });
    let count = days.len() as f64;
    let interval_us = interval(seen);
    let daily = bars && interval_us >= DAY_US;
    let weekend = |day: &&i64| (**day + 3).rem_euclid(7) >= 5;
    let weekends = days.keys().filter(weekend).count() as f64;
    // One day of two weekends may be missing, and one of five may be a slip.
    let around_the_clock = weekends > count * 0.1;
    let hours = match around_the_clock || daily {
        true => None,
        false => session(seen, &days, if bars { interval_us } else { 0 }),
    };
    let price = seen.last().map_or(1.0, |seen| seen.price);
    let tick = step(seen.iter().map(|seen| seen.price)).unwrap_or(price * 1e-5);
    let mut squares = 0.0;
    for pair in seen.windows(2) {
        let change = ln(pair[1].price / pair[0].price);
        squares += change * change;
    }
    // From trade to trade prices bounce between bid and ask, which is no volatility.
    let volatility = match bars {
        true => (squares / (count - 1.0).max(1.0)).sqrt(),
        false => by_minute(seen, count),
    };
    let sizes: f64 = seen.iter().map(|seen| seen.size).sum();
    let lot = step(seen.iter().map(|seen| seen.size).filter(|size| *size > 0.0));
    let lot = round(lot.unwrap_or(1.0) * UNITS).max(1);
    let volume = (sizes / count * UNITS / lot as f64).max(5_000.0);
    let counted: i64 = seen.iter().filter_map(|seen| seen.trades).sum();
    let trades = match (bars, counted) {
        (false, _) => seen.len() as f64 / count,
        (true, 0) => volume / 40.0,
        (true, counted) => counted as f64 / count,
    };
    Like {
        around_the_clock,
        hours,
        price,
        tick: round(tick * UNITS).max(1),
        volatility: volatility.clamp(0.000_5, 0.1),
        lot,
        volume,
        trades: trades.clamp(2_000.0, 5e6),
        profile: if daily { None } else { profile(seen, around_the_clock, hours) },
        interval_min: (bars && interval_us >= MINUTE_US)
            .then(|| u32::try_from(interval_us / MINUTE_US).ok())
            .flatten()
            .filter(|minutes| 1_440_u32.is_multiple_of(*minutes)),
    }
}

/// The most frequent step from one time to the next.
fn interval(seen: &[Seen]) -> i64 {
    let mut steps: BTreeMap<i64, u64> = BTreeMap::new();
    for pair in seen.windows(2) {
        let step = pair[1].ts_us - pair[0].ts_us;
        if step > 0 && (steps.len() < 10_000 || steps.contains_key(&step)) {
            *steps.entry(step).or_default() += 1;
        }
    }
    steps.into_iter().max_by_key(|(_, count)| *count).map_or(MINUTE_US, |(step, _)| step)
}

/// The step that all values are multiples of, as far as they have eight decimal places; none where
/// it is too small to be one.
fn step(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut step, mut least) = (0_i64, f64::MAX);
    for value in values.take(100_000) {
        least = least.min(value);
        let (mut a, mut b) = (round(value * UNITS), step);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        step = a;
    }
    let step = step as f64 / UNITS;
    (step > 0.0 && step >= least * 1e-7).then_some(step)
}

/// Volatility of a day from the last prices of its minutes.
fn by_minute(seen: &[Seen], days: f64) -> f64 {
    let mut squares = 0.0;
    let (mut minute, mut before) = (i64::MIN, seen[0].price);
    for pair in seen.windows(2) {
        let of = pair[0].ts_us.div_euclid(MINUTE_US);
        if of != minute && pair[1].ts_us.div_euclid(MINUTE_US) != of {
            let change = ln(pair[0].price / before);
            squares += change * change;
            (minute, before) = (of, pair[0].price);
        }
    }
    (squares / days).sqrt()
}

/// The hours of a market that closes, in minutes UTC; none: those of New York.
fn session(seen: &[Seen], days: &BTreeMap<i64, (i64, i64)>, width_us: i64) -> Option<(i32, i32)> {
    let zone = TimeZone::get(calendar::ZONE).unwrap_or(TimeZone::UTC);
    let (first, last) = calendar::SESSION;
    let inside = |us: i64| {
        let Ok(instant) = Timestamp::from_microsecond(us) else { return false };
        let time = zone.to_datetime(instant).time();
        let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
        (first..=last).contains(&minute)
    };
    let sample = seen.iter().step_by(seen.len() / 2_000 + 1);
    let (all, there) =
        sample.fold((0, 0), |(all, there), seen| (all + 1, there + u32::from(inside(seen.ts_us))));
    if there * 100 >= all * 97 {
        return None;
    }
    let mut starts: Vec<i64> = days.values().map(|(start, _)| start.rem_euclid(DAY_US)).collect();
    let mut ends: Vec<i64> = days.values().map(|(_, end)| end.rem_euclid(DAY_US)).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let start = starts[starts.len() / 2] / MINUTE_US;
    let end = (ends[ends.len() / 2] + width_us.max(MINUTE_US)) / MINUTE_US;
    let (start, end) = (i32::try_from(start).ok()?, i32::try_from(end.min(1_440)).ok()?);
    // A few minutes are no session.
    (end - start >= 30).then_some((start, end)).or(Some((0, 1_440)))
}

/// How the volume is spread over a session, 1 on average.
fn profile(
    seen: &[Seen],
    around_the_clock: bool,
    hours: Option<(i32, i32)>,
) -> Option<[f64; PROFILE_PARTS]> {
    let mut sums = [0.0; PROFILE_PARTS];
    let zone = TimeZone::get(calendar::ZONE).unwrap_or(TimeZone::UTC);
    let (from, to) = match (around_the_clock, hours) {
        (true, _) => (0, 1_440),
        (false, Some(hours)) => hours,
        (false, None) => calendar::SESSION,
    };
    for seen in seen {
        let shown = match around_the_clock || hours.is_some() {
            true => seen.ts_us,
            false => {
                let instant = Timestamp::from_microsecond(seen.ts_us).ok()?;
                seen.ts_us + i64::from(zone.to_offset(instant).seconds()) * 1_000_000
            }
        };
        let minute = shown.rem_euclid(DAY_US) as f64 / MINUTE_US as f64;
        let part = (minute - f64::from(from)) / f64::from(to - from);
        if (0.0..1.0).contains(&part) {
            sums[(part * PROFILE_PARTS as f64) as usize] += seen.size;
        }
    }
    let mean = sums.iter().sum::<f64>() / PROFILE_PARTS as f64;
    // A part without any volume, in a sample, still has some.
    (mean > 0.0).then(|| sums.map(|sum| (sum / mean).max(0.02)))
}
