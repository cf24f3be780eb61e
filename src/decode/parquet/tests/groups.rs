//! Row groups: joined, split, passed over by their statistics.

use super::*;

#[test]
fn units_join_row_groups_until_they_hold_a_batch() {
    let full = BATCH_ROWS as u64;
    let units = units_of(&[full, 1, 0, full - 1, 10, 0, 5, 0]);
    let got: Vec<_> = units.iter().map(|u| (u.row_groups.clone(), u.first_row, u.rows)).collect();
    assert_eq!(got, [(0..1, 0, full), (1..4, full, full), (4..8, 2 * full, 15)]);
    assert_eq!(units_of(&[]), []);
    assert_eq!(units_of(&[0, 0]), []);
}

#[test]
fn batches_do_not_depend_on_row_groups() {
    let rows = BATCH_ROWS + 40_000;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let words: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("w{}", row % 7))));
    let wanted = mapping(vec![
        column("n", 0, ValueKind::Integer, true),
        column("w", 1, ValueKind::Word, true),
    ]);
    for (group_rows, sizes) in [
        (rows, &[vec![BATCH_ROWS, 40_000]][..]),
        (60_000, &[vec![BATCH_ROWS, 40_000]]),
        (30_000, &[vec![BATCH_ROWS, 90_000 - BATCH_ROWS], vec![rows - 90_000]]),
    ] {
        let columns = vec![("n", Arc::clone(&numbers)), ("w", Arc::clone(&words))];
        let file = write(columns, group_rows);
        let source = ParquetSource::open(file.path()).unwrap();
        assert_eq!(source.rows(), rows as u64);
        assert_eq!(source.group_rows.len(), rows.div_ceil(group_rows));
        let mut next = 0;
        for (unit, sizes) in source.units().iter().zip(sizes) {
            assert_eq!(unit.first_row, next as u64);
            let batches: Vec<_> =
                source.read_unit(unit, &wanted).unwrap().map(Result::unwrap).collect();
            let got: Vec<_> = batches.iter().map(|batch| batch.root.num_rows()).collect();
            assert_eq!(got, *sizes, "{group_rows}");
            for batch in batches {
                let values = batch.root.column(0).as_primitive::<Int64Type>();
                assert!(values.values().iter().copied().eq(next..next + values.len() as i64));
                assert_eq!(batch.places[3].row, 3);
                next += values.len() as i64;
            }
        }
        assert_eq!(next, rows as i64);
    }
}

#[test]
fn a_thousand_one_row_groups_are_one_batch() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let file = write(vec![("n", numbers)], 1);
    let decoded = read_one(&file, &mapping(vec![column("n", 0, ValueKind::Float, true)]));
    assert_eq!(decoded.root.num_rows(), 1_000);
}

/// 5,000 row groups of ten rows, one a second; every seventh price is none.
fn tiny_groups() -> NamedTempFile {
    let times = TimestampMillisecondArray::from_iter_values((0..50_000).map(|at| at * 1_000));
    let prices = (0..50_000).map(|at| if at % 7 == 0 { f64::NAN } else { at as f64 });
    let prices = Float64Array::from_iter_values(prices);
    write(vec![("t", Arc::new(times.with_timezone("UTC"))), ("p", Arc::new(prices))], 10)
}

fn windowed(from_s: i64, to_s: i64) -> Mapping {
    Mapping {
        time_column: Some(0),
        from_us: Some(from_s * 1_000_000),
        to_us: Some(to_s * 1_000_000),
        ..mapping(vec![
            column("ts", 0, ValueKind::Time, true),
            column("price", 1, ValueKind::Float, true),
        ])
    }
}

#[test]
fn row_groups_outside_the_window_are_counted_and_not_read() {
    let file = tiny_groups();
    let source = ParquetSource::open(file.path()).unwrap();
    assert_eq!((source.group_rows.len(), source.units().len()), (5_000, 1));
    let wanted = windowed(20_005, 20_025);
    let whole = read_one(&file, &mapping(wanted.columns.clone()));
    let decoded = read_one(&file, &wanted);
    assert_eq!((decoded.read(), decoded.skipped), (50_000, 49_980));
    let inside = |row: &u32| (20_005..20_025).contains(row);
    let rows = |decoded: &Decoded| decoded.places.iter().map(|p| p.row).collect::<Vec<_>>();
    assert_eq!(rows(&decoded), rows(&whole).into_iter().filter(inside).collect::<Vec<_>>());
    let refused: Vec<u32> = rules(&whole).into_iter().map(|(row, _)| row).filter(inside).collect();
    assert_eq!(rules(&decoded).into_iter().map(|(row, _)| row).collect::<Vec<_>>(), refused);
    assert_eq!(read_one(&file, &windowed(-5, 0)).skipped, 50_000, "nothing is read at all");
    // Pages that are not wanted may be damaged.
    let mut bytes = std::fs::read(file.path()).unwrap();
    let Form::Parquet(metadata) = &source.form else { panic!("Parquet") };
    let (start, len) = metadata.metadata().row_group(7).column(1).byte_range();
    bytes[start as usize..(start + len) as usize].fill(0xff);
    std::fs::write(file.path(), bytes).unwrap();
    assert!(read(&file, &mapping(wanted.columns.clone())).is_err());
    assert_eq!(read_one(&file, &wanted).read(), 50_000);
}

#[test]
fn what_statistics_do_not_tell_is_read() {
    let wanted = windowed(100, 200);
    let decode = |times: ArrayRef| {
        let prices: ArrayRef = Arc::new(Float64Array::from(vec![1.0; times.len()]));
        read_one(&write(vec![("t", times), ("p", prices)], 2), &wanted)
    };
    // A row without a time is a reject, wherever its neighbours are.
    let times: ArrayRef =
        Arc::new(TimestampSecondArray::from(vec![Some(5), None, Some(150)]).with_timezone("UTC"));
    let decoded = decode(times);
    assert_eq!(rules(&decoded), [(1, "null_value".to_owned())]);
    assert_eq!((decoded.skipped, decoded.root.num_rows()), (1, 1));
    // Between a second and a millisecond of 2024 lies any time there is.
    let mixed: ArrayRef = Arc::new(Int64Array::from(vec![1_704_067_200, 1_704_067_200_000]));
    assert_eq!(decode(mixed).skipped, 2);
    let times: ArrayRef = Arc::new(StringArray::from(vec!["1970-01-01T00:02:00Z", "2024-01-01"]));
    assert_eq!(decode(times).skipped, 1);
    // Local times: the group's edges are read in the column's zone.
    let local: ArrayRef = Arc::new(TimestampSecondArray::from(vec![3_650, 3_660, 3_700, 3_750]));
    let decoded = decode(local);
    assert_eq!((decoded.skipped, decoded.places[0].row), (2, 2));
}
