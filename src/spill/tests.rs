use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Float64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use proptest::prelude::*;

use super::*;

type Row = (String, i64, f64);

fn batch(rows: &[Row]) -> RecordBatch {
    let symbols: DictionaryArray<Int32Type> = rows.iter().map(|row| Some(row.0.as_str())).collect();
    let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.1)).collect();
    let closes: Float64Array = rows.iter().map(|row| Some(row.2)).collect();
    RecordBatch::try_from_iter([
        ("symbol", Arc::new(symbols) as ArrayRef),
        ("ts", Arc::new(times.with_timezone("UTC"))),
        ("close", Arc::new(closes)),
    ])
    .unwrap()
}

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let symbols = batch.column(0).as_dictionary::<Int32Type>();
    let symbols = symbols.downcast_dict::<arrow::array::StringArray>().unwrap();
    let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
    let closes = batch.column(2).as_primitive::<arrow::datatypes::Float64Type>();
    (symbols.into_iter().zip(times.values()).zip(closes.values()))
        .map(|((symbol, &ts), &close)| (symbol.unwrap().to_owned(), ts, close))
        .collect()
}

struct Spilled {
    runs: Vec<Run>,
    order: Order,
}

/// Spills batches, `per_run` to a run, routed by time: ten microseconds a route.
fn spill(batches: &[Vec<Row>], per_run: usize, last_wins: bool) -> Spilled {
    let schema = batch(&[]).schema();
    let types: Vec<_> = schema.fields().iter().map(|field| field.data_type()).collect();
    let words = Arc::new(Words::new(types.iter().copied()));
    let keys = KeyPlan::new(&types, &[0, 1]).unwrap();
    let mut runs = Vec::new();
    for (run, of_run) in batches.chunks(per_run).enumerate() {
        let mut buffer = SortBuffer::new(Arc::clone(&words), keys.clone());
        for (at, rows) in of_run.iter().enumerate() {
            let span = (run * per_run + at) as u32;
            let origin = |row| Origin::new(7, span, row as u32).unwrap();
            buffer.push(&batch(rows), (0..rows.len()).map(origin).collect()).unwrap();
        }
        let route_of = |batch: &RecordBatch| {
            let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
            times.values().iter().map(|ts| ts.div_euclid(10)).collect()
        };
        runs.push(buffer.write(&std::env::temp_dir(), route_of).unwrap());
    }
    Spilled { runs, order: Order::new(keys, &words, schema, last_wins) }
}

impl Spilled {
    fn merge(&self, range: Range, rows_max: usize) -> (Vec<Row>, Vec<Origin>, Vec<Lost>) {
        let mut merge = Merge::new(&self.runs, &self.order, range).unwrap();
        let (mut all, mut origins, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(merged) = merge.next_rows(rows_max).unwrap() {
            all.extend(rows(&merged.rows));
            origins.extend(merged.origins);
            lost.extend(merged.lost);
        }
        (all, origins, lost)
    }
}

/// What a merge of everything must give: the rows of a route by key, and which lost.
fn expected(batches: &[Vec<Row>], route: i64, last_wins: bool) -> (Vec<Row>, usize, usize) {
    let mut winners = std::collections::BTreeMap::new();
    let (mut lost, mut differing) = (0, 0);
    for row in batches.iter().flatten().filter(|row| row.1.div_euclid(10) == route) {
        let key = (row.0.clone(), row.1);
        let Some(winner) = winners.get(&key).copied() else {
            winners.insert(key, row.2);
            continue;
        };
        lost += 1;
        differing += usize::from(winner != row.2);
        if last_wins {
            winners.insert(key, row.2);
        }
    }
    let rows = winners.into_iter().map(|((symbol, ts), close)| (symbol, ts, close)).collect();
    (rows, lost, differing)
}

#[test]
fn origins_sort_as_sources_do() {
    let origin = Origin::new(3, 5, 9).unwrap();
    assert_eq!((origin.load(), origin.span(), origin.row()), (3, 5, 9));
    assert!(Origin::new(3, 5, 10).unwrap() > origin && Origin::new(2, 9, 99).unwrap() < origin);
    assert!(Origin::new(1 << 20, 0, 0).is_none() && Origin::new(0, 1 << 22, 0).is_none());
    assert!(Origin::new(0, 0, 1 << 22).is_none());
    assert_eq!(Origin::from_number(origin.number()), origin);
}

#[test]
fn blocks_are_crossed_and_long_stretches_kept() {
    let rows: Vec<Row> = (0..9_000)
        .map(|at| (["B", "A", "C"][at % 3].to_owned(), (at / 900) as i64, at as f64))
        .collect();
    let mut rows = rows;
    for (at, row) in rows.iter_mut().enumerate() {
        row.1 = at as i64 % 10;
        row.0 = format!("{}{}", row.0, at / 10);
    }
    let batches: Vec<Vec<Row>> = rows.chunks(1_000).map(<[Row]>::to_vec).collect();
    let spilled = spill(&batches, 3, false);
    let whole = Range { route: 0, from: None, to: None };
    let (merged, origins, lost) = spilled.merge(whole, 700);
    assert_eq!(merged, expected(&batches, 0, false).0);
    assert!(lost.is_empty());
    for (row, origin) in merged.iter().zip(&origins) {
        assert_eq!(&batches[origin.span() as usize][origin.row() as usize], row);
    }
    let cuts = spilled.order.cuts(&spilled.runs, 0, 2_000);
    assert!(cuts.len() >= 3, "{}", cuts.len());
    let mut edges = vec![None];
    edges.extend(cuts.into_iter().map(Some));
    edges.push(None);
    let mut parts = Vec::new();
    for pair in edges.windows(2) {
        parts.extend(spilled.merge(Range { route: 0, from: pair[0], to: pair[1] }, 500).0);
    }
    assert_eq!(parts, merged);
}

fn some_rows() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row = (0_u8..6, 0_i64..30, 0_u8..3)
        .prop_map(|(symbol, ts, close)| (format!("S{symbol}"), ts - 5, f64::from(close)));
    prop::collection::vec(prop::collection::vec(row, 0..40), 1..12)
}

proptest! {
    #[test]
    fn a_merge_is_a_sort(batches in some_rows(), per_run in 1_usize..5, max in 1_usize..50,
                         last_wins: bool) {
        let spilled = spill(&batches, per_run, last_wins);
        let mut counted = 0;
        for route in -1..3 {
            let range = Range { route, from: None, to: None };
            let (merged, origins, lost) = spilled.merge(range, max);
            let (rows, losers, differing) = expected(&batches, route, last_wins);
            prop_assert_eq!(&merged, &rows);
            prop_assert_eq!(lost.len(), losers);
            prop_assert_eq!(lost.iter().filter(|lost| lost.differs).count(), differing);
            for (row, origin) in merged.iter().zip(&origins) {
                prop_assert_eq!(&batches[origin.span() as usize][origin.row() as usize], row);
            }
            let in_runs: u64 = (spilled.runs.iter())
                .filter_map(|run| run.rows().get(&route)?.get(&7)).sum();
            prop_assert_eq!(in_runs as usize, merged.len() + lost.len());
            counted += in_runs as usize;
        }
        prop_assert_eq!(counted, batches.iter().map(Vec::len).sum::<usize>());
    }
}
