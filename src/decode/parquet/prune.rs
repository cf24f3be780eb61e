//! Which row groups need not be read, because what the footer says of their times lies outside the
//! window. It trusts no statistics of texts, and none of a group in which a time may be missing:
//! such a row is a reject and not skipped.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::convert::{Converter, ordered_time};
use super::{ParquetSource, ParquetUnit, Stretch};
use crate::mapping::Mapping;

/// How much greater than the first the last of some epoch numbers may be if all count in one unit:
/// they lie between 1e9 and 4e9 times a power of a thousand.
const EPOCH_RATIO_MAX: f64 = 4.0;

/// The unit in stretches of row groups that are read, and such that are not.
pub(super) fn stretches(
    source: &ParquetSource,
    metadata: &ArrowReaderMetadata,
    unit: &ParquetUnit,
    mapping: &Mapping,
    converter: &mut Converter,
) -> Vec<Stretch> {
    let groups = unit.row_groups.clone();
    let outside = outside(metadata, &groups, mapping, converter).unwrap_or_default();
    if !outside.contains(&true) {
        return vec![Stretch { rows: unit.rows, groups }];
    }
    let mut stretches: Vec<Stretch> = Vec::new();
    for (group, outside) in groups.zip(outside) {
        let rows = source.group_rows[group];
        let read = if outside { 0..0 } else { group..group + 1 };
        match stretches.last_mut() {
            Some(last) if last.groups.is_empty() == outside => {
                last.rows += rows;
                if !outside {
                    last.groups.end = read.end;
                }
            }
            _ => stretches.push(Stretch { rows, groups: read }),
        }
    }
    stretches
}

/// For each row group whether all of its times lie outside the window; `None`: nothing is known.
fn outside(
    metadata: &ArrowReaderMetadata,
    groups: &Range<usize>,
    mapping: &Mapping,
    converter: &mut Converter,
) -> Option<Vec<bool>> {
    let (schema, all) = (metadata.schema(), metadata.metadata().row_groups());
    let field = schema.field(ordered_time(schema, mapping)?);
    if schema.fields().iter().filter(|other| other.name() == field.name()).count() > 1 {
        return None;
    }
    let parquet_schema = metadata.parquet_schema();
    let statistics = StatisticsConverter::try_new(field.name(), schema, parquet_schema).ok()?;
    let statistics = statistics.with_missing_null_counts_as_zero(!field.is_nullable());
    let of_groups = || all[groups.clone()].iter();
    let mins = statistics.row_group_mins(of_groups()).ok()?;
    let maxes = statistics.row_group_maxes(of_groups()).ok()?;
    let nulls = statistics.row_group_null_counts(of_groups()).ok()?;
    let (window, firsts) = converter.instants(&mins).ok()??;
    let (_, lasts) = converter.instants(&maxes).ok()??;
    let firsts = firsts.as_primitive_opt::<TimestampMicrosecondType>()?;
    let lasts = lasts.as_primitive_opt::<TimestampMicrosecondType>()?;
    let one_unit = one_unit(&mins, &maxes)?;
    let unsigned = matches!(field.data_type(), DataType::UInt32 | DataType::UInt64);
    let is_outside = |at: usize| {
        let group = &all[groups.start + at];
        // Writers of old compared unsigned numbers as if they were signed.
        let old = group.columns().iter().any(|column| {
            column.statistics().is_some_and(|statistics| statistics.is_min_max_deprecated())
        });
        let known = firsts.is_valid(at) && lasts.is_valid(at) && nulls.is_valid(at);
        known
            && nulls.value(at) == 0
            && !(old && unsigned)
            && one_unit[at]
            && firsts.value(at) <= lasts.value(at)
            && window.excludes_all(firsts.value(at), lasts.value(at))
    };
    Some((0..groups.len()).map(is_outside).collect())
}

/// For each pair whether, if they are epoch numbers, all between them count in one unit.
fn one_unit(mins: &ArrayRef, maxes: &ArrayRef) -> Option<Vec<bool>> {
    let stamps =
        matches!(mins.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
    if stamps {
        return Some(vec![true; mins.len()]);
    }
    let doubles = |array: &ArrayRef| {
        cast_with_options(array, &DataType::Float64, &CastOptions::default()).ok()
    };
    let (mins, maxes) = (doubles(mins)?, doubles(maxes)?);
    let pairs = mins.as_primitive::<Float64Type>().iter().zip(maxes.as_primitive::<Float64Type>());
    let near =
        |pair| matches!(pair, (Some(min), Some(max)) if min > 0.0 && max <= EPOCH_RATIO_MAX * min);
    Some(pairs.map(near).collect())
}
