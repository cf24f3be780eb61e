//! What the data are like: that any part of them can be made alone, never changes, and is shaped
//! like the real thing.

use std::collections::{BTreeMap, HashMap};

use super::market::days::DAY_US;
use super::*;
use crate::dataset;

fn spec(name: &str, rows: u64) -> Spec {
    Spec {
        dataset: dataset::by_name(name).unwrap(),
        rows: Some(rows),
        names: Names::Enough,
        from_us: FROM_DEFAULT_US,
        to_us: None,
        seed: 1,
        interval_min: None,
        like: None,
    }
}

fn made(spec: &Spec) -> Records {
    let generator = Generator::new(spec).unwrap();
    let mut records = generator.records();
    generator.make(0..generator.rows(), &mut records);
    assert_eq!(records.len() as u64, generator.rows());
    for (name, column) in records.names.iter().zip(&records.columns) {
        assert_eq!(column.len(), records.len(), "{name}");
    }
    records
}

fn names(list: &[&str]) -> Names {
    Names::Listed(list.iter().map(|&name| name.to_owned()).collect())
}

fn numbers(records: &Records, name: &str) -> Vec<i64> {
    let column = records.column(name).unwrap();
    (0..column.len()).map(|row| column.number(row).unwrap_or(records::NONE)).collect()
}

fn texts<'a>(records: &'a Records, name: &str) -> Vec<&'a str> {
    let column = records.column(name).unwrap();
    (0..column.len()).map(|row| column.text(row).unwrap_or_default()).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        both += (x - mean_a) * (y - mean_b);
        of_a += (x - mean_a).powi(2);
        of_b += (y - mean_b).powi(2);
    }
    both / (of_a * of_b).sqrt()
}

#[test]
fn any_part_can_be_made_without_the_others() {
    for dataset in dataset::ALL {
        let spec = spec(dataset.name, 3_000);
        let whole = Form::Ndjson.render(&made(&spec), 0).unwrap();
        let generator = Generator::new(&spec).unwrap();
        let mut parts = Vec::new();
        let mut at = 0;
        for step in [1, 7, 390, 1_200, 13, 2_000] {
            let mut records = generator.records();
            generator.make(at..at + step, &mut records);
            parts.extend(Form::Ndjson.render(&records, 0).unwrap());
            at += step;
        }
        assert!(parts == whole, "{}", dataset.name);
    }
}

/// The data of a version never change: whoever changes them raises [`VERSION`], and knows that
/// what was loaded before is other data.
#[test]
fn the_data_of_a_version_never_change() {
    let mut all = blake3::Hasher::new();
    for dataset in dataset::ALL {
        all.update(&Form::Ndjson.render(&made(&spec(dataset.name, 1_000)), 0).unwrap());
    }
    assert_eq!(all.finalize().to_hex().as_str(), DATA, "as of version {VERSION}");
}
const DATA: &str = "200e801910870b2b83d31edef3b0c526b9dc61db0d020d9549ee06e0bf630bec";

#[test]
fn another_seed_is_other_data() {
    for dataset in dataset::ALL {
        let one = Form::Ndjson.render(&made(&spec(dataset.name, 100)), 0).unwrap();
        let two =
            Form::Ndjson.render(&made(&Spec { seed: 2, ..spec(dataset.name, 100) }), 0).unwrap();
        assert!(one != two, "{}", dataset.name);
    }
}

#[test]
fn bars_are_shaped_like_those_of_an_exchange() {
    let of = Spec { names: names(&["ACME"]), ..spec("bars", 390 * 250) };
    let bars = made(&of);
    let columns = ["ts", "open", "high", "low", "close", "volume", "trade_count"];
    let [ts, open, high, low, close, volume, trades] = columns.map(|name| numbers(&bars, name));
    let mut by_minute: BTreeMap<i64, i64> = BTreeMap::new();
    let mut days: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for row in 0..ts.len() {
        assert!(high[row] >= open[row].max(close[row]) && low[row] <= open[row].min(close[row]));
        assert!(low[row] > 0 && trades[row] >= 4 && volume[row] > 0);
        days.entry(ts[row].div_euclid(DAY_US)).or_default().push(row);
    }
    let mut gaps = Vec::new();
    for rows in days.values() {
        for (minute, row) in rows.iter().enumerate() {
            *by_minute.entry(minute as i64).or_default() += volume[*row];
            if minute > 0 {
                gaps.push((open[*row] - close[row - 1]).abs() as f64 / close[row - 1] as f64);
            }
        }
    }
    // Independence Day, the short day before it, and an ordinary one.
    let day = |day: i64| days.get(&(19_723 + day)).map_or(0, Vec::len);
    assert_eq!([day(185), day(184), day(186)], [0, 210, 390]);
    assert!(gaps.iter().all(|gap| *gap < 0.001), "a bar opens near the close before it");
    let part = |from: i64| (from..from + 30).map(|minute| by_minute[&minute]).sum::<i64>();
    let (start, middle, end) = (part(0), part(180), part(360));
    assert!(start > 2 * middle && end > 2 * middle, "{start} {middle} {end}");
}

/// After a large move comes another: the sizes of returns go together, the returns do not.
#[test]
fn volatility_comes_in_clusters() {
    let check = |of: Spec, least: f64| {
        let close = numbers(&made(&of), "close");
        let returns: Vec<f64> =
            close.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / pair[0] as f64).collect();
        let sizes: Vec<f64> = returns.iter().map(|one| one.abs()).collect();
        let (of_sizes, of_returns) = (
            correlation(&sizes[1..], &sizes[..sizes.len() - 1]),
            correlation(&returns[1..], &returns[..returns.len() - 1]),
        );
        assert!(of_sizes > least, "sizes {of_sizes}");
        assert!(of_returns.abs() < 0.06, "returns {of_returns}");
        let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
        assert!(sizes.iter().any(|size| *size > 6.0 * mean), "no return stands out");
    };
    let daily =
        Spec { names: names(&["BTCUSDT"]), interval_min: Some(1_440), ..spec("bars", 6_000) };
    check(daily, 0.05);
    check(Spec { names: names(&["BTCUSDT"]), ..spec("bars", 1_440 * 20) }, 0.15);
}

#[test]
fn ticks_add_up_to_bars() {
    let listed = names(&["ACME", "ETHUSDT", "ESZ25"]);
    let ticks = made(&Spec { names: listed.clone(), ..spec("market_trades", 120_000) });
    let bars = made(&Spec { names: listed.clone(), ..spec("bars", 3_000) });
    let hours = made(&Spec { names: listed, interval_min: Some(60), ..spec("bars", 60) });
    let key = |records: &Records, width: i64| -> Vec<(String, i64)> {
        let ts = numbers(records, "ts");
        let symbols = texts(records, "symbol");
        symbols.iter().zip(ts).map(|(of, ts)| ((*of).to_owned(), ts.div_euclid(width))).collect()
    };
    let names = ["open", "high", "low", "close", "volume", "trade_count"];
    let columns = |records: &Records| names.map(|name| numbers(records, name));
    for (of, width) in [(&bars, 60_000_000), (&hours, 3_600_000_000)] {
        let mut sums: HashMap<(String, i64), [i64; 6]> = HashMap::new();
        let (prices, sizes) = (numbers(&ticks, "price"), numbers(&ticks, "size"));
        // An hour of New York starts at half past.
        let shift =
            |symbol: &str| if width > 60_000_000 && !symbol.ends_with("USDT") { 1 } else { 0 };
        let half = 1_800_000_000;
        let ts = numbers(&ticks, "ts");
        let symbols = texts(&ticks, "symbol");
        for row in 0..ticks.len() {
            let at = (ts[row] - shift(symbols[row]) * half).div_euclid(width);
            let (price, size) = (prices[row], sizes[row]);
            let sum = sums
                .entry((symbols[row].to_owned(), at))
                .or_insert([price, price, price, price, 0, 0]);
            *sum = [sum[0], sum[1].max(price), sum[2].min(price), price, sum[4] + size, sum[5] + 1];
        }
        let columns = columns(of);
        let mut compared = 0;
        for (row, (symbol, at)) in key(of, width).into_iter().enumerate() {
            // The last bars may be beyond the last ticks.
            let Some(sum) = sums.get(&(symbol, at)).filter(|_| row < of.len() / 2) else {
                continue;
            };
            assert_eq!(*sum, std::array::from_fn(|column| columns[column][row]), "{row}");
            compared += 1;
        }
        assert!(compared >= 20, "{compared}");
    }
    let times = numbers(&ticks, "ts");
    let day = times.iter().zip(texts(&ticks, "symbol")).collect::<Vec<_>>();
    assert!(day.windows(2).all(|two| two[0].1 != two[1].1 || two[0].0 < two[1].0));
}

#[test]
fn calls_and_puts_keep_their_parity() {
    let bars = made(&spec("option_bars", 40_000));
    let columns = ["close", "strike", "underlying_close", "ts", "expiry", "high", "low", "open"];
    let [close, strike, price, ts, expiry, high, low, open] =
        columns.map(|name| numbers(&bars, name));
    let kinds = texts(&bars, "option_type");
    for row in (0..bars.len() - 1).step_by(2) {
        assert_eq!((kinds[row], kinds[row + 1], strike[row]), ("call", "put", strike[row + 1]));
        let us = (expiry[row] * DAY_US + 22 * 3_600_000_000 - ts[row] - 300_000_000) as f64;
        let years = us / (365.25 * DAY_US as f64);
        let discounted = strike[row] as f64 * (-0.03 * years).exp();
        let apart = (close[row] - close[row + 1]) as f64 - (price[row] as f64 - discounted);
        assert!(apart.abs() < 600_000.0, "row {row}: {apart} of 10^-8 beyond half a cent");
    }
    for row in 0..bars.len() {
        assert!(high[row] >= open[row].max(close[row]) && low[row] <= open[row].min(close[row]));
        assert!(low[row] > 0);
    }
}

#[test]
fn greeks_are_those_of_a_chain_with_a_smile() {
    let bars = made(&spec("option_strike_bars", 390 * 126 * 3));
    let [iv, call, put, gamma, strike, price, expiry, ts, interest] = [
        "call_iv",
        "call_delta",
        "put_delta",
        "call_gamma",
        "strike",
        "underlying_close",
        "expiry",
        "bucket_time",
        "call_oi",
    ]
    .map(|name| numbers(&bars, name));
    for row in 0..bars.len() {
        assert!((0..=1_000_000).contains(&call[row]) && (-1_000_000..=0).contains(&put[row]));
        assert!((call[row] - put[row] - 1_000_000).abs() <= 1 && gamma[row] >= 0);
        assert!((30_000..3_000_000).contains(&iv[row]), "{}", iv[row]);
    }
    // Of one minute and expiry: far strikes are dearer than near ones, and deltas fall.
    let first: Vec<usize> = (0..63).collect();
    let near = *first.iter().min_by_key(|row| (strike[**row] - price[0]).abs()).unwrap();
    assert!(iv[0] > iv[near] && iv[62] > iv[near] && iv[0] > iv[62]);
    assert!(first.windows(2).all(|two| call[two[0]] >= call[two[1]]));
    // From day to day a contract's open interest grows, and is not what it was.
    let mut of_day: BTreeMap<(i64, i64), BTreeMap<i64, i64>> = BTreeMap::new();
    for row in 0..bars.len() {
        let days = of_day.entry((expiry[row], strike[row])).or_default();
        days.insert(ts[row].div_euclid(DAY_US), interest[row]);
    }
    let of = of_day.values().filter(|days| days.len() == 3);
    let grew = of.clone().filter(|days| days.values().next() < days.values().last()).count();
    assert!(grew * 4 > of.clone().count() * 3, "{grew} of {}", of.count());
}

#[test]
fn trades_are_what_orders_say_was_filled() {
    let orders = made(&spec("orders", 2_000));
    let trades = made(&spec("trades", 10_000));
    let [quantity, filled, limit, created, updated] =
        ["quantity", "filled_quantity", "price", "created_at", "updated_at"]
            .map(|name| numbers(&orders, name));
    let (sides, statuses) = (texts(&orders, "side"), texts(&orders, "status"));
    let ids: HashMap<&str, usize> =
        texts(&orders, "order_id").into_iter().enumerate().map(|(row, id)| (id, row)).collect();
    assert_eq!(ids.len(), 2_000);
    let mut sums = vec![0; 2_000];
    let [price, lots, at] = ["price", "quantity", "executed_at"].map(|name| numbers(&trades, name));
    for (column, side) in [("buyer_order_id", "BUY"), ("seller_order_id", "SELL")] {
        for (row, id) in texts(&trades, column).into_iter().enumerate() {
            let order = ids[id];
            assert_eq!(sides[order], side);
            assert!(created[order] < at[row] && at[row] <= updated[order]);
            if limit[order] != records::NONE {
                let fair = if side == "BUY" {
                    price[row] <= limit[order]
                } else {
                    price[row] >= limit[order]
                };
                assert!(fair, "{} against {}", price[row], limit[order]);
            }
            sums[order] += lots[row];
        }
    }
    assert_eq!(sums, filled);
    for row in 0..2_000 {
        let fits = match statuses[row] {
            "FILLED" => filled[row] == quantity[row],
            "PARTIALLY_FILLED" => filled[row] > 0 && filled[row] < quantity[row],
            "CANCELLED" => filled[row] < quantity[row],
            _ => filled[row] == 0,
        };
        assert!(fits, "{}: {} of {}", statuses[row], filled[row], quantity[row]);
    }
    assert!(created.is_sorted(), "orders are in the order of time");
}

#[test]
fn prices_of_games_drift_to_their_ends() {
    let rows = 8 * 27_000;
    let trades = made(&spec("kalshi_trades", rows));
    let markets = made(&spec("kalshi_markets", 16));
    let [yes, no, ts] =
        ["yes_price", "no_price", "created_time"].map(|name| numbers(&trades, name));
    assert!(yes.iter().zip(&no).all(|(yes, no)| yes + no == 100));
    let mut last: HashMap<&str, i64> = HashMap::new();
    let mut seconds: std::collections::HashSet<(&str, i64)> = Default::default();
    for (row, ticker) in texts(&trades, "ticker").into_iter().enumerate() {
        last.insert(ticker, yes[row]);
        seconds.insert((ticker, ts[row].div_euclid(1_000_000)));
    }
    let results = texts(&markets, "result");
    for (row, ticker) in texts(&markets, "ticker").into_iter().enumerate() {
        let wins = results[row] == "yes";
        let price = last[ticker];
        assert!(if wins { price > 90 } else { price < 10 }, "{ticker}: {price}, {}", results[row]);
    }
    let each = rows as f64 / seconds.len() as f64;
    assert!((2.0..2.6).contains(&each), "{each} trades of one market in a second");
    let states = made(&spec("game_states", 2_400));
    let games: std::collections::HashSet<&str> = texts(&states, "game_id").into_iter().collect();
    assert!(texts(&markets, "espn_event_id").into_iter().all(|id| games.contains(id)));
}

#[test]
fn fleets_and_wrecks_have_heavy_tails() {
    let mails = made(&spec("killmails", 4_000));
    let mut values = Vec::new();
    let counts: Vec<usize> = texts(&mails, "document")
        .iter()
        .map(|text| {
            let mail: serde_json::Value = serde_json::from_str(text).unwrap();
            let attackers = mail["attackers"].as_array().unwrap();
            let blows = attackers.iter().filter(|one| one["final_blow"] == true).count();
            let damage: u64 =
                attackers.iter().map(|one| one["damage_done"].as_u64().unwrap()).sum();
            assert_eq!((blows, Some(damage)), (1, mail["victim"]["damage_taken"].as_u64()));
            let zkb = &mail["zkb"];
            if let Some(total) = zkb["totalValue"].as_f64() {
                let parts = ["droppedValue", "destroyedValue"].map(|of| zkb[of].as_f64().unwrap());
                assert!((parts[0] + parts[1] - total).abs() < 0.01, "{zkb}");
                assert!(
                    parts[0] > 0.0 && parts[1] > 0.0 && zkb["hash"].as_str().unwrap().len() == 40
                );
                values.push(total);
            }
            attackers.len()
        })
        .collect();
    let lone = counts.iter().filter(|count| **count <= 2).count();
    assert!(lone > 1_000 && counts.iter().any(|count| *count > 100), "{lone}");
    values.sort_by(f64::total_cmp);
    let (median, dear) = (values[values.len() / 2], values[values.len() * 99 / 100]);
    assert!((3_700..3_900).contains(&values.len()), "{} with values", values.len());
    assert!((5e6..1e8).contains(&median) && dear > 20.0 * median, "{median} {dear}");
}

#[test]
fn what_cannot_be_made_is_refused_with_a_reason() {
    let day = 86_400_000_000;
    let refused = |spec: Spec| Generator::new(&spec).unwrap_err().to_string();
    let bars = || spec("bars", 1_000);
    let short = Spec { names: names(&["ACME"]), to_us: Some(FROM_DEFAULT_US + 2 * day), ..bars() };
    assert!(refused(short).contains("only 390 records"));
    assert!(refused(Spec { interval_min: Some(7), ..bars() }).contains("--interval"));
    assert!(refused(Spec { to_us: Some(FROM_DEFAULT_US), ..bars() }).contains("before --to"));
    let holiday = Spec { names: names(&["ACME"]), to_us: Some(FROM_DEFAULT_US + day), ..bars() };
    assert!(refused(holiday).contains("no trading day"));
    let games = Spec { names: names(&["A"]), ..spec("games", 10) };
    assert!(refused(games).contains("--tickers N"));
}
