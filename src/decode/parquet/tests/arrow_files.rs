//! Arrow files and streams.

use super::*;
use crate::limit::WORD_BYTES_MAX;

/// The batch as an Arrow file and as a stream.
fn arrow_files(batches: &[RecordBatch]) -> Vec<NamedTempFile> {
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    let mut files = Vec::new();
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let options = || IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let schema = batches[0].schema();
        let file = NamedTempFile::new().unwrap();
        let to = file.reopen().unwrap();
        let mut writer = FileWriter::try_new_with_options(to, &schema, options()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        files.push(file);
        let file = NamedTempFile::new().unwrap();
        let to = file.reopen().unwrap();
        let mut writer = StreamWriter::try_new_with_options(to, &schema, options()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        files.push(file);
    }
    files
}

fn symbols_and_prices(rows: Range<i64>) -> RecordBatch {
    let words = rows.clone().map(|row| ["AAA", "BBB", "CCC"][row as usize % 3]);
    let words: DictionaryArray<Int32Type> = words.collect();
    let prices =
        Float64Array::from_iter(rows.clone().map(|row| (row % 5 != 0).then_some(row as f64)));
    let unused = Int64Array::from_iter_values(rows);
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("n", Arc::new(unused), true),
        ("p", Arc::new(prices), true),
        ("w", Arc::new(words), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn arrow_files_and_streams_are_read_as_parquet_is() {
    let batches = [symbols_and_prices(0..999), symbols_and_prices(999..100_000)];
    let wanted = mapping(vec![
        column("symbol", 2, ValueKind::Word, true),
        column("price", 1, ValueKind::Float, false),
    ]);
    for file in arrow_files(&batches) {
        let source = ParquetSource::open(file.path()).unwrap();
        assert_eq!(source.rows(), 100_000);
        assert_eq!(source.columns()[1], ("p".to_owned(), "Float64".to_owned()));
        let all = read(&file, &wanted).unwrap();
        assert_eq!(all.iter().map(Decoded::read).collect::<Vec<_>>(), [65_536, 34_464]);
        let prices = all[1].root.column(1).as_primitive::<Float64Type>();
        assert_eq!((prices.value(1), prices.is_null(4)), (65_537.0, true));
        assert_eq!(texts(&all[0])[..3], ["AAA", "BBB", "CCC"]);
    }
}

#[test]
fn what_stands_before_the_batches_of_a_file_is_its_writers_own_business() {
    let wanted = mapping(vec![
        column("symbol", 2, ValueKind::Word, true),
        column("price", 1, ValueKind::Float, false),
    ]);
    for file in arrow_files(&[symbols_and_prices(0..500)]) {
        let mut bytes = std::fs::read(file.path()).unwrap();
        let is_file = bytes.starts_with(b"ARROW1");
        // Some write the schema into the footer alone.
        bytes[8..24].fill(4);
        std::fs::write(file.path(), bytes).unwrap();
        match read(&file, &wanted) {
            Ok(all) => assert!(is_file && all[0].read() == 500),
            Err(error) => assert!(!is_file, "{error}"),
        }
    }
}

#[test]
fn words_that_no_table_takes_are_rejects() {
    let long = "x".repeat(WORD_BYTES_MAX + 1);
    let words = StringArray::from_iter_values(["A", "A\0B", &long, &long[1..]]);
    let batch = RecordBatch::try_from_iter([("w", Arc::new(words) as ArrayRef)]).unwrap();
    for file in arrow_files(&[batch]) {
        let all = read(&file, &mapping(vec![column("symbol", 0, ValueKind::Word, true)])).unwrap();
        assert_eq!(texts(&all[0]), ["A", &long[1..]]);
        let rejects = all[0].rejects.iter(&Original::Columns).map(|reject| reject.rule.to_string());
        assert_eq!(rejects.collect::<Vec<_>>(), ["nul_byte", "value_too_long"]);
    }
}

#[test]
fn damaged_arrow_files_are_errors_that_name_them() {
    let wanted = mapping(vec![
        column("symbol", 2, ValueKind::Word, true),
        column("price", 1, ValueKind::Float, false),
    ]);
    let damaged = NamedTempFile::new().unwrap();
    let try_bytes = |bytes: &[u8]| {
        std::fs::write(damaged.path(), bytes).unwrap();
        read(&damaged, &wanted)
    };
    for (at, file) in arrow_files(&[symbols_and_prices(0..500)]).iter().enumerate() {
        let whole = std::fs::read(file.path()).unwrap();
        assert_eq!(try_bytes(&whole).unwrap()[0].read(), 500);
        for len in (9..whole.len() - 16).step_by(whole.len() / 60) {
            let error = try_bytes(&whole[..len]).unwrap_err().to_string();
            assert!(error.contains("is not a readable"), "{at}: {len}: {error}");
        }
        // A flipped bit may give an error or other values; it must not bring anything down.
        for place in (0..whole.len()).step_by(whole.len() / 300 + 1) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            drop(try_bytes(&bytes));
        }
    }
}
