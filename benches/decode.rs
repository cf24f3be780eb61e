//! How fast bytes become values and batches, on one core.
//!
//! The whole-chunk figures are bytes of CSV; the goal is 250 MB/s for plain bars.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate::batch::Chunk;
use tidegate::decode::{Cut, Cutter, TextDecoder, TimeParser, count_records, parse_float};
use tidegate::limit::CHUNK_BYTES;
use tidegate::mapping::{
    FieldSource, MappedColumn, Mapping, Quirks, TextShape, TimeFormat, TimeRule, ValueKind, Zone,
};

const HEADER: &str = "symbol,interval,ts,open,high,low,close,volume";

/// One chunk of synthetic one-minute bars, prices a random walk.
fn bars(quoted: bool) -> Vec<u8> {
    let mut text = format!("{HEADER}\n");
    let mut seed = 42_u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % 1_000
    };
    let mut price = 9_357_600_u64;
    for minute in 0_u64.. {
        if text.len() >= CHUNK_BYTES {
            break;
        }
        price = price + random() - 480;
        let (high, low) = (price + random(), price - random());
        let (hour, day) = (minute / 60 % 24, minute / 1_440 % 28 + 1);
        let minute = minute % 60;
        let ts = format!("2024-01-{day:02}T{hour:02}:{minute:02}:00Z");
        let quote = if quoted { "\"" } else { "" };
        let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
        writeln!(
            text,
            "{quote}BTCUSDT{quote},1m,{ts},{},{},{},{},{}.{:05}",
            money(price),
            money(high),
            money(low),
            money(price + 7),
            random(),
            random() * 97,
        )
        .expect("a string takes everything");
    }
    text.into_bytes()
}

fn shape() -> TextShape {
    TextShape {
        delimiter: b',',
        quote: b'"',
        head_lines: 1,
        header: Some(HEADER.split(',').map(str::to_owned).collect()),
        header_bytes: HEADER.as_bytes().to_vec(),
        fields_min: 8,
        fields_max: 8,
        nulls: vec![b"null".to_vec(), b"NaN".to_vec()],
    }
}

fn mapping(number: ValueKind) -> Mapping {
    use ValueKind::{Time, Word};
    let kinds = [Word, Word, Time, number, number, number, number, number];
    let columns = HEADER.split(',').zip(kinds).enumerate().map(|(at, (name, kind))| MappedColumn {
        name: name.to_owned(),
        source: FieldSource::Field(at),
        kind,
        rewrite: None,
        time: Some(TimeRule::new(TimeFormat::Auto, Zone::UTC)),
        required: at < 3,
    });
    Mapping {
        dataset: "bars".to_owned(),
        columns: columns.collect(),
        time_column: Some(2),
        from_us: None,
        to_us: None,
        quirks: Quirks::default(),
        nulls: Vec::new(),
    }
}

fn values(c: &mut Criterion) {
    let numbers: Vec<String> =
        (0..1_000_u64).map(|i| format!("{}.{:08}", 90_000 + i, i * 104_729)).collect();
    let mut group = c.benchmark_group("values");
    group.throughput(Throughput::Bytes(numbers.iter().map(|text| text.len() as u64).sum()));
    group.bench_function("float", |b| {
        b.iter(|| numbers.iter().filter_map(|n| parse_float(n.as_bytes()).ok()).sum::<f64>());
    });
    let times: Vec<String> =
        (0..1_000).map(|i| format!("2024-01-02T{:02}:{:02}:07Z", i / 60, i % 60)).collect();
    group.throughput(Throughput::Bytes(times.iter().map(|text| text.len() as u64).sum()));
    for (name, zone) in [("time", "UTC"), ("time in a zone", "America/New_York")] {
        let zone = Zone::parse(zone).expect("a known zone");
        let local: Vec<&str> = times.iter().map(|time| time.trim_end_matches('Z')).collect();
        let mut parser = TimeParser::new(&TimeRule::new(TimeFormat::Auto, zone));
        group.bench_function(name, |b| {
            b.iter(|| local.iter().filter_map(|t| parser.parse(t.as_bytes()).ok()).max());
        });
    }
    group.finish();
}

fn chunks(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunk");
    for (name, quoted, number) in [
        ("bars", false, ValueKind::Float),
        ("bars as decimals", false, ValueKind::Decimal),
        ("bars with quotes", true, ValueKind::Float),
    ] {
        let chunk = Chunk { bytes: bars(quoted) };
        let mut decoder = TextDecoder::new(&mapping(number), &shape()).expect("a good mapping");
        let decoded = decoder.decode(&chunk, true).expect("a batch");
        assert!(decoded.rejects.is_empty() && decoded.root.num_rows() > 50_000);
        group.throughput(Throughput::Bytes(chunk.bytes.len() as u64));
        group.bench_function(name, |b| b.iter(|| decoder.decode(black_box(&chunk), true)));
    }
    for (name, quoted) in [("cut", false), ("cut with quotes", true)] {
        let text = bars(quoted);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let cut = Cutter::new(&shape(), 0).cut(black_box(&text), true);
                assert!(matches!(cut, Cut::End(_)));
            });
        });
    }
    let text = bars(false);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("count", |b| b.iter(|| count_records(black_box(&text[..]), &shape())));
    group.finish();
}

criterion_group!(benches, values, chunks);
criterion_main!(benches);
