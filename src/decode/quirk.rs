//! What some vendors write where nothing was traded, put right in whole batches. Called only for
//! mappings that ask for it.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;

use crate::mapping::Mapping;

/// Positions of open, high, low and close in the batch; `None` unless all are there.
pub(super) fn price_columns(mapping: &Mapping) -> Option<[usize; 4]> {
    let at = |name: &str| mapping.columns.iter().position(|column| column.name == name);
    Some([at("open")?, at("high")?, at("low")?, at("close")?])
}

/// Takes away open, high and low where all three are zero and the close is not: the close is a
/// settlement then, and nothing was traded.
pub(super) fn untraded_to_null(
    arrays: &mut [ArrayRef],
    [open, high, low, close]: [usize; 4],
) -> Result<(), ArrowError> {
    let rows = arrays[close].len();
    let untraded = (0..rows).map(|row| {
        let zero = |at: usize| is_zero(&arrays[at], row) == Some(true);
        zero(open) && zero(high) && zero(low) && is_zero(&arrays[close], row) == Some(false)
    });
    let untraded: BooleanArray = untraded.map(Some).collect();
    if untraded.true_count() > 0 {
        for at in [open, high, low] {
            arrays[at] = nullif(&arrays[at], &untraded)?;
        }
    }
    Ok(())
}

/// Whether the number is zero; `None` for nothing and for what is no number.
fn is_zero(array: &ArrayRef, row: usize) -> Option<bool> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().value(row) == 0.0),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row) == 0),
        DataType::Utf8 => {
            let number: f64 = array.as_string::<i32>().value(row).parse().ok()?;
            Some(number == 0.0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;

    #[test]
    fn only_settled_rows_lose_their_zeros() {
        let floats = |values: [f64; 4]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let text = Arc::new(StringArray::from(vec!["0.00", "0", "0", "0e5"])) as ArrayRef;
        let mut arrays = vec![
            floats([0.0, 0.0, 0.0, 0.0]),
            text,
            floats([0.0, 1.0, 0.0, 0.0]),
            floats([97.95, 2.0, 0.0, 5.0]),
        ];
        untraded_to_null(&mut arrays, [0, 1, 2, 3]).unwrap();
        for array in &arrays[..3] {
            let nulls: Vec<bool> = (0..4).map(|row| array.is_null(row)).collect();
            assert_eq!(nulls, [true, false, false, true]);
        }
        assert_eq!(arrays[3].null_count(), 0);
    }
}
