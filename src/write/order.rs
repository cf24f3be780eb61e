//! The order in which a batch's rows are sent: by the target's key, so that neighbours in the index
//! come together, and unique by it, so that the winner of two equal keys is decided by their place
//! in the source and not by the server.

use std::cmp::Ordering;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DynComparator, RecordBatch, UInt32Array,
    make_comparator,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::Meeting;

/// A row that lost to another row with its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loser {
    /// Its position in the batch.
    pub row: usize,
    /// Position, in the sending order, of the row that won.
    pub winner: usize,
    /// Whether its other values differ from the winner's.
    pub differs: bool,
}

/// The rows of a batch in sending order, and those that lost.
#[derive(Debug, Default)]
pub(super) struct KeyOrder {
    pub order: Vec<u32>,
    pub losers: Vec<Loser>,
}

/// Orders `batch` by the columns `key`; of equal keys the first wins, or the last if `last_wins`,
/// and a part of a record only over other parts. Without a key the rows stay as they are.
pub(super) fn by_key(
    batch: &RecordBatch,
    key: &[usize],
    meeting: &Meeting,
    last_wins: bool,
) -> Result<KeyOrder, ArrowError> {
    let rows = batch.num_rows();
    if key.is_empty() || rows < 2 {
        return Ok(KeyOrder { order: (0..rows as u32).collect(), losers: Vec::new() });
    }
    let columns: Vec<&ArrayRef> = key.iter().map(|&column| batch.column(column)).collect();
    match packed(&columns, rows) {
        Some(keys) => sort_unique(batch, key, keys, (meeting, last_wins)),
        None => {
            let fields =
                columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
            let converter = RowConverter::new(fields)?;
            let owned: Vec<ArrayRef> = columns.iter().map(|column| (*column).clone()).collect();
            let converted = converter.convert_columns(&owned)?;
            let keys = (0..rows).map(|row| converted.row(row)).collect();
            sort_unique(batch, key, keys, (meeting, last_wins))
        }
    }
}

/// Sorts by (key, row) and takes out all but one of each key.
fn sort_unique<K: Ord>(
    batch: &RecordBatch,
    key: &[usize],
    keys: Vec<K>,
    (meeting, last_wins): (&Meeting, bool),
) -> Result<KeyOrder, ArrowError> {
    let increasing = keys.windows(2).all(|pair| pair[0] < pair[1]);
    if increasing {
        return Ok(KeyOrder { order: (0..keys.len() as u32).collect(), losers: Vec::new() });
    }
    let mut sorted: Vec<(K, u32)> = keys.into_iter().zip(0..).collect();
    sorted.sort_unstable();
    let mut found = KeyOrder { order: Vec::with_capacity(sorted.len()), losers: Vec::new() };
    let mut same: Option<Differs> = None;
    for at in 0..sorted.len() {
        let row = sorted[at].1;
        if at == 0 || sorted[at - 1].0 != sorted[at].0 {
            found.order.push(row);
            continue;
        }
        let differs = match &mut same {
            Some(differs) => differs,
            none => none.insert(Differs::new(batch, key, meeting)?),
        };
        let place = found.order.len() - 1;
        let Some(winner) = found.order.last_mut() else { continue };
        let (before, now) = (*winner as usize, row as usize);
        let differs = differs.rows(before, now);
        let now_wins = match (meeting.is_part(batch, before), meeting.is_part(batch, now)) {
            (before_is_part, now_is_part) if before_is_part == now_is_part => last_wins,
            (before_is_part, _) => before_is_part,
        };
        let loser = if now_wins { std::mem::replace(winner, row) } else { row };
        found.losers.push(Loser { row: loser as usize, winner: place, differs });
    }
    Ok(found)
}

/// Compares two rows of a batch as a merge compares them with stored ones.
struct Differs {
    /// Columns that must be the same.
    compared: Vec<DynComparator>,
    /// Columns that must be the same where both rows have a value.
    known: Vec<(ArrayRef, DynComparator)>,
    /// Rows where nothing is compared but `known`: parts of records.
    parts: Option<NullBuffer>,
}

impl Differs {
    fn new(batch: &RecordBatch, key: &[usize], meeting: &Meeting) -> Result<Self, ArrowError> {
        let comparator = |column: usize| {
            let array = batch.column(column);
            make_comparator(array, array, SortOptions::default())
        };
        let all = 0..batch.num_columns();
        let compared: Vec<usize> = match meeting.content {
            Some(content) => vec![content],
            None => all.filter(|at| !key.contains(at) && !meeting.adds.contains(at)).collect(),
        };
        let known = meeting.adds.iter();
        let known = known.map(|&at| Ok((batch.column(at).clone(), comparator(at)?)));
        Ok(Self {
            compared: compared.into_iter().map(comparator).collect::<Result<_, _>>()?,
            known: known.collect::<Result<_, ArrowError>>()?,
            parts: meeting.content.and_then(|at| batch.column(at).logical_nulls()),
        })
    }

    fn rows(&self, a: usize, b: usize) -> bool {
        let is_part = |row| self.parts.as_ref().is_some_and(|parts| parts.is_null(row));
        let known = |column: &ArrayRef| !column.is_null(a) && !column.is_null(b);
        (!is_part(a) && !is_part(b) && self.compared.iter().any(|compare| compare(a, b).is_ne()))
            || (self.known.iter()).any(|(column, compare)| known(column) && compare(a, b).is_ne())
    }
}

/// Gives winners what they do not know and losers do: in the columns `adds`, the value of the last
/// loser that has one.
pub(super) fn add(
    batch: &RecordBatch,
    adds: &[usize],
    order: &[u32],
    losers: &[Loser],
) -> Result<RecordBatch, ArrowError> {
    let mut columns = batch.columns().to_vec();
    for &at in adds {
        let column = batch.column(at);
        if column.null_count() == 0 {
            continue;
        }
        let mut from: Vec<u32> = (0..batch.num_rows() as u32).collect();
        for loser in losers {
            let winner = order[loser.winner] as usize;
            if column.is_null(winner) && !column.is_null(loser.row) {
                from[winner] = loser.row as u32;
            }
        }
        columns[at] = take(column, &UInt32Array::from(from), None)?;
    }
    RecordBatch::try_new(batch.schema(), columns)
}

/// The key of each row packed into one integer that sorts as the key does, if it fits.
fn packed(columns: &[&ArrayRef], rows: usize) -> Option<Vec<u128>> {
    let parts: Vec<Part> = columns.iter().map(|column| Part::of(column)).collect::<Option<_>>()?;
    if parts.iter().map(|part| part.bits).sum::<u32>() > 128 {
        return None;
    }
    let mut keys = vec![0_u128; rows];
    for (part, column) in parts.iter().zip(columns) {
        part.add(column, &mut keys);
    }
    Some(keys)
}

/// How one key column is packed.
struct Part {
    bits: u32,
    /// For a dictionary: the rank of each of its values.
    ranks: Vec<u32>,
}

impl Part {
    fn of(column: &ArrayRef) -> Option<Self> {
        if column.null_count() > 0 {
            return None;
        }
        let plain = |bits| Some(Self { bits, ranks: Vec::new() });
        match column.data_type() {
            DataType::Int32 | DataType::Date32 => plain(32),
            DataType::Int64 | DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
                plain(64)
            }
            DataType::Dictionary(key, value)
                if **key == DataType::Int32 && **value == DataType::Utf8 =>
            {
                let values = column.as_dictionary::<Int32Type>().values().as_string::<i32>();
                let mut order: Vec<u32> = (0..values.len() as u32).collect();
                order.sort_unstable_by_key(|&value| values.value(value as usize));
                let mut ranks = vec![0; order.len()];
                for (rank, value) in (0..).zip(order) {
                    ranks[value as usize] = rank;
                }
                let distinct = ranks.len().max(1) as u32;
                Some(Self { bits: u32::BITS - (distinct - 1).leading_zeros(), ranks })
            }
            _ => None,
        }
    }

    /// Shifts every key and adds this column's value below.
    fn add(&self, column: &ArrayRef, keys: &mut [u128]) {
        const FLIP_32: u32 = 1 << 31;
        const FLIP_64: u64 = 1 << 63;
        let bits = self.bits;
        let push = |key: &mut u128, value: u128| *key = (*key << bits) | value;
        match column.data_type() {
            DataType::Int32 => {
                for (key, value) in keys.iter_mut().zip(column.as_primitive::<Int32Type>().values())
                {
                    push(key, u128::from(*value as u32 ^ FLIP_32));
                }
            }
            DataType::Date32 => {
                for (key, value) in
                    keys.iter_mut().zip(column.as_primitive::<Date32Type>().values())
                {
                    push(key, u128::from(*value as u32 ^ FLIP_32));
                }
            }
            DataType::Int64 => {
                for (key, value) in keys.iter_mut().zip(column.as_primitive::<Int64Type>().values())
                {
                    push(key, u128::from(*value as u64 ^ FLIP_64));
                }
            }
            DataType::Timestamp(..) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                for (key, value) in keys.iter_mut().zip(times.values()) {
                    push(key, u128::from(*value as u64 ^ FLIP_64));
                }
            }
            _ if bits == 0 => {}
            _ => {
                let codes = column.as_dictionary::<Int32Type>().keys();
                for (key, code) in keys.iter_mut().zip(codes.values()) {
                    push(key, u128::from(self.ranks[*code as usize]));
                }
            }
        }
    }
}

/// A hash of each row's key that is the same in every batch, sorted. Two batches without a common
/// hash have no common key.
pub(super) fn key_hashes(batch: &RecordBatch, key: &[usize], order: &[u32]) -> Vec<u64> {
    if key.is_empty() {
        return Vec::new();
    }
    let mut hashes = vec![0x9e37_79b9_7f4a_7c15_u64; batch.num_rows()];
    for &column in key {
        hash_column(batch.column(column), &mut hashes);
    }
    let mut sorted: Vec<u64> = order.iter().map(|&row| hashes[row as usize]).collect();
    sorted.sort_unstable();
    sorted
}

fn mix(hash: u64, value: u64) -> u64 {
    let mixed = (hash ^ value).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 32)
}

fn text_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn hash_column(column: &ArrayRef, hashes: &mut [u64]) {
    match column.data_type() {
        DataType::Int32 => {
            for (hash, value) in hashes.iter_mut().zip(column.as_primitive::<Int32Type>().values())
            {
                *hash = mix(*hash, *value as u64);
            }
        }
        DataType::Int64 => {
            for (hash, value) in hashes.iter_mut().zip(column.as_primitive::<Int64Type>().values())
            {
                *hash = mix(*hash, *value as u64);
            }
        }
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            for (row, hash) in hashes.iter_mut().enumerate() {
                *hash = mix(*hash, text_hash(texts.value(row).as_bytes()));
            }
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            for (hash, value) in hashes.iter_mut().zip(times.values()) {
                *hash = mix(*hash, *value as u64);
            }
        }
        DataType::Dictionary(..) => {
            let dictionary = column.as_dictionary::<Int32Type>();
            let values = dictionary.values().as_string::<i32>();
            let texts: Vec<u64> =
                values.iter().map(|value| text_hash(value.unwrap_or("").as_bytes())).collect();
            for (hash, code) in hashes.iter_mut().zip(dictionary.keys().values()) {
                *hash = mix(*hash, texts.get(*code as usize).copied().unwrap_or(0));
            }
        }
        DataType::Date32 => {
            for (hash, value) in hashes.iter_mut().zip(column.as_primitive::<Date32Type>().values())
            {
                *hash = mix(*hash, *value as u64);
            }
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            for (hash, value) in hashes.iter_mut().zip(values) {
                // Equal in the narrowest column that it may go to; both zeros are equal anywhere.
                *hash = mix(*hash, u64::from((*value as f32 + 0.0).to_bits()));
            }
        }
        // A column of another type adds nothing: fewer differences, so more waiting, never less.
        _ => {}
    }
}

/// Whether two sorted lists share an element.
pub fn share_a_key(a: &[u64], b: &[u64]) -> bool {
    let (Some(a_first), Some(b_first)) = (a.first(), b.first()) else { return false };
    if a.last() < Some(b_first) || b.last() < Some(a_first) {
        return false;
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => return true,
        }
    }
    false
}

/// Rows of a child batch whose root is sent.
pub(super) fn children_of(root_of: &[u32], order: &[u32], roots: usize) -> Vec<u32> {
    let mut sent = vec![false; roots];
    for &row in order {
        sent[row as usize] = true;
    }
    let kept =
        BooleanArray::from(root_of.iter().map(|&root| sent[root as usize]).collect::<Vec<_>>());
    (0..root_of.len() as u32).filter(|&row| kept.value(row as usize)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use std::sync::Arc;

    fn batch(rows: &[(&str, i64, f64)]) -> RecordBatch {
        let symbols: DictionaryArray<Int32Type> = rows.iter().map(|row| row.0).collect();
        let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.1)).collect();
        let closes: Float64Array = rows.iter().map(|row| Some(row.2)).collect();
        RecordBatch::try_from_iter([
            ("symbol", Arc::new(symbols) as ArrayRef),
            ("ts", Arc::new(times.with_timezone("UTC"))),
            ("close", Arc::new(closes)),
        ])
        .unwrap()
    }

    #[test]
    fn rows_are_sorted_and_the_first_of_equals_wins() {
        let rows = [("B", 1, 1.0), ("A", -2, 2.0), ("B", 1, 1.0), ("A", -3, 3.0), ("B", 1, 9.0)];
        let sorted = by_key(&batch(&rows), &[0, 1], &Meeting::default(), false).unwrap();
        assert_eq!(sorted.order, [3, 1, 0]);
        assert_eq!(
            sorted.losers,
            [
                Loser { row: 2, winner: 2, differs: false },
                Loser { row: 4, winner: 2, differs: true }
            ]
        );
        let sorted = by_key(&batch(&rows), &[0, 1], &Meeting::default(), true).unwrap();
        assert_eq!(sorted.order, [3, 1, 4]);
        assert_eq!(
            sorted.losers,
            [
                Loser { row: 0, winner: 2, differs: false },
                Loser { row: 2, winner: 2, differs: true }
            ]
        );
    }

    #[test]
    fn the_general_order_is_the_packed_one() {
        let rows: Vec<(&str, i64, f64)> = (0..500)
            .map(|i| (["C", "A", "B"][i % 3], (i as i64 * 7919) % 97 - 40, i as f64))
            .collect();
        let batch = batch(&rows);
        let packed = by_key(&batch, &[0, 1], &Meeting::default(), false).unwrap();
        let text: StringArray = rows.iter().map(|row| Some(row.0)).collect();
        let mut columns = batch.columns().to_vec();
        columns[0] = Arc::new(text);
        let general =
            RecordBatch::try_from_iter(["symbol", "ts", "close"].into_iter().zip(columns));
        let general = by_key(&general.unwrap(), &[0, 1], &Meeting::default(), false).unwrap();
        assert_eq!(packed.order, general.order);
        assert_eq!(packed.losers, general.losers);
    }

    #[test]
    fn batches_that_share_a_key_are_seen() {
        let one = batch(&[("A", 1, 1.0), ("B", 1, 1.0)]);
        let two = batch(&[("B", 2, 1.0), ("A", 2, 1.0)]);
        let three = batch(&[("C", 0, 1.0), ("B", 1, 2.0)]);
        let hashes = |batch: &RecordBatch| key_hashes(batch, &[0, 1], &[0, 1]);
        assert!(!share_a_key(&hashes(&one), &hashes(&two)));
        assert!(share_a_key(&hashes(&one), &hashes(&three)));
        assert!(!share_a_key(&hashes(&one), &[]));
    }

    #[test]
    fn integers_sort_by_sign() {
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![3, -1, 2]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        assert_eq!(by_key(&batch, &[0], &Meeting::default(), false).unwrap().order, [1, 2, 0]);
    }

    #[test]
    fn what_a_record_does_not_know_is_taken_from_those_that_lose() {
        let long = |values: &[Option<i64>]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let keys = long(&[Some(1), Some(1), Some(1), Some(2), Some(2)]);
        let content = long(&[Some(7), Some(7), None, None, Some(8)]);
        let value = long(&[Some(50), None, Some(51), Some(60), None]);
        let columns = [("id", keys), ("content", content), ("value", value)];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let meeting = Meeting { content: Some(1), adds: vec![2] };
        for last_wins in [false, true] {
            let sorted = by_key(&batch, &[0], &meeting, last_wins).unwrap();
            // A part never wins over a whole record.
            assert_eq!(sorted.order, [u32::from(last_wins), 4]);
            let differs: Vec<bool> = sorted.losers.iter().map(|loser| loser.differs).collect();
            assert_eq!(differs, [false, !last_wins, false]);
        }
        let sorted = by_key(&batch, &[0], &meeting, true).unwrap();
        let added = add(&batch, &meeting.adds, &sorted.order, &sorted.losers).unwrap();
        let values = added.column(2).as_primitive::<Int64Type>();
        assert_eq!((values.value(1), values.value(4)), (51, 60));
        assert_eq!(added.column(1), batch.column(1));
    }
}
