//! How fast records are made on one core: in memory, and as lines of CSV.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tidegate::dataset;
use tidegate::generate::{FROM_DEFAULT_US, Form, Generator, Names, Spec};

const ROWS: u64 = 100_000;

fn generator(name: &str) -> Generator {
    let spec = Spec {
        dataset: dataset::by_name(name).expect("a dataset"),
        rows: Some(ROWS),
        names: Names::Enough,
        from_us: FROM_DEFAULT_US,
        to_us: None,
        seed: 1,
        interval_min: None,
        like: None,
    };
    Generator::new(&spec).expect("a spec that can be met")
}

fn generate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("generate");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    let names =
        ["bars", "market_trades", "orders", "trades", "option_strike_bars", "kalshi_trades"];
    for name in names {
        let generator = generator(name);
        let mut records = generator.records();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                records.clear();
                generator.make(0..ROWS, &mut records);
                black_box(records.len())
            });
        });
        group.bench_function(format!("{name}_csv"), |bencher| {
            bencher
                .iter(|| black_box(Form::Csv.render(&records, 0).map_or(0, |bytes| bytes.len())));
        });
    }
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
