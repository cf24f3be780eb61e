//! Rows from columns. A message is made in two passes over a slice of rows: the first measures
//! every row, so that the bytes are reserved once and each row's place is known; the second writes
//! column by column, each row at its own cursor. So every inner loop has one type and no branch on
//! it, and no value allocates.

use arrow::buffer::NullBuffer;
use arrow::record_batch::RecordBatch;
use bytes::BytesMut;

use super::column::{Column, Sink};
use super::value::Wrong;
use super::{EncodeError, Encoder};
use crate::limit::COPY_MESSAGE_BYTES;

const NULL: [u8; 4] = (-1_i32).to_be_bytes();
/// Bytes of a value's length, and of a row's position.
const LENGTH_BYTES: usize = 4;
/// Bytes of a row's number of fields.
const COUNT_BYTES: usize = 2;
/// What a value without fixed width is expected to take, when rows for a message are estimated.
const VARIABLE_BYTES_GUESS: usize = 12;

/// A batch bound to its encoder: columns are typed and dictionaries spelled out once, then any
/// number of messages is made from it. Holds scratch space of a message's size.
#[derive(Debug)]
pub struct BatchRows<'a> {
    encoder: &'a Encoder,
    batch: &'a RecordBatch,
    columns: Vec<Column<'a>>,
    /// Values that had to be built, for each column that has such.
    built: Vec<Built>,
    /// Where each row's next value goes; before that, each row's size.
    cursors: Vec<usize>,
}

/// Values built for the rows of a message, in their order, with their lengths.
#[derive(Debug, Default)]
struct Built {
    bytes: Vec<u8>,
    /// End of each row's value in `bytes`. NULL has no bytes.
    ends: Vec<usize>,
}

impl<'a> BatchRows<'a> {
    pub(super) fn new(encoder: &'a Encoder, batch: &'a RecordBatch) -> Result<Self, EncodeError> {
        let columns = Column::bind(&encoder.plans, batch)?;
        let built = columns.iter().map(|_| Built::default()).collect();
        Ok(Self { encoder, batch, columns, built, cursors: Vec::new() })
    }

    /// Appends the rows `order` (positions in the batch, in any order, also repeated).
    ///
    /// # Errors
    /// As [`BatchRows::message`].
    pub fn rows(&mut self, order: &[u32], out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut rest = order;
        while !rest.is_empty() {
            let done = self.message(rest, COPY_MESSAGE_BYTES, out)?;
            rest = &rest[done..];
        }
        Ok(())
    }

    /// Appends leading rows of `order` as long as they take at most `bytes_max` bytes, but at least
    /// one, and returns how many they are. A message's bytes may be less than half of the limit
    /// where many values are NULL or short.
    ///
    /// # Errors
    /// [`EncodeError::Value`] for a value that the target cannot take as it is, the very one that
    /// [`Encoder::faults`] finds, except that NULL is left to the server;
    /// [`EncodeError::NoSuchRow`]. `out` is then as it was.
    pub fn message(
        &mut self,
        order: &[u32],
        bytes_max: usize,
        out: &mut BytesMut,
    ) -> Result<usize, EncodeError> {
        let rows = self.batch.num_rows();
        let order = &order[..order.len().min(bytes_max / self.encoder.row_bytes_guess() + 1)];
        if let Some(&row) = order.iter().find(|row| **row as usize >= rows) {
            return Err(EncodeError::NoSuchRow { row, rows });
        }
        self.measure(order)?;
        let (count, bytes) = self.cut(bytes_max);
        let start = out.len();
        out.resize(start + bytes, 0);
        let written = self.write(&order[..count], &mut out[start..]);
        if written.is_err() {
            out.truncate(start);
        }
        written.map(|()| count)
    }

    /// Sets `cursors` to the size of each row, and builds the values that have to be built.
    fn measure(&mut self, order: &[u32]) -> Result<(), EncodeError> {
        self.cursors.clear();
        self.cursors.resize(order.len(), self.encoder.fixed_bytes());
        for (column, built) in self.columns.iter().zip(&mut self.built) {
            let nulls = column.nulls();
            let mut measure = Measure { order, nulls, sizes: &mut self.cursors, built };
            match column.plan.width() {
                Some(_) if nulls.is_none() => {}
                Some(width) => measure.nulls_are_shorter_by(width),
                None => {
                    let fed = column.feed(&mut measure);
                    fed.map_err(|fault| Encoder::refuse(self.batch, column, fault))?;
                }
            }
        }
        Ok(())
    }

    /// Turns sizes into cursors; returns how many rows fit and how many bytes they take.
    fn cut(&mut self, bytes_max: usize) -> (usize, usize) {
        let mut at = 0;
        for (row, cursor) in self.cursors.iter_mut().enumerate() {
            let size = *cursor;
            if at + size > bytes_max && row > 0 {
                self.cursors.truncate(row);
                return (row, at);
            }
            *cursor = at;
            at += size;
        }
        (self.cursors.len(), at)
    }

    fn write(&mut self, order: &[u32], out: &mut [u8]) -> Result<(), EncodeError> {
        let mut writer =
            Writer { order, nulls: None, built: None, cursors: &mut self.cursors, out };
        writer.start_rows(self.encoder.field_count(), self.encoder.position);
        for (column, built) in self.columns.iter().zip(&self.built) {
            writer.nulls = column.nulls();
            writer.built = Some(built);
            let fed = column.feed(&mut writer);
            fed.map_err(|fault| Encoder::refuse(self.batch, column, fault))?;
        }
        Ok(())
    }
}

impl Encoder {
    fn field_count(&self) -> u16 {
        (self.plans.len() + usize::from(self.position)) as u16
    }

    /// Bytes of a row without NULLs, and without the bytes of values that have no fixed width.
    fn fixed_bytes(&self) -> usize {
        let position = if self.position { 2 * LENGTH_BYTES } else { 0 };
        let fields = self.plans.iter().map(|plan| LENGTH_BYTES + plan.width().unwrap_or(0));
        COUNT_BYTES + position + fields.sum::<usize>()
    }

    fn row_bytes_guess(&self) -> usize {
        let variable = self.plans.iter().filter(|plan| plan.width().is_none()).count();
        self.fixed_bytes() + variable * VARIABLE_BYTES_GUESS
    }
}

/// Adds the bytes of a column's values to the sizes of the rows.
struct Measure<'r> {
    order: &'r [u32],
    nulls: Option<&'r NullBuffer>,
    sizes: &'r mut [usize],
    built: &'r mut Built,
}

impl Measure<'_> {
    fn nulls_are_shorter_by(&mut self, width: usize) {
        let Some(nulls) = self.nulls else { return };
        for (size, &row) in self.sizes.iter_mut().zip(self.order) {
            *size -= if nulls.is_null(row as usize) { width } else { 0 };
        }
    }

    fn add(&mut self, bytes: impl Fn(usize) -> Result<usize, Wrong>) -> Result<(), (usize, Wrong)> {
        for (size, &row) in self.sizes.iter_mut().zip(self.order) {
            let row = row as usize;
            if self.nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                *size += bytes(row).map_err(|wrong| (row, wrong))?;
            }
        }
        Ok(())
    }
}

impl Sink for Measure<'_> {
    fn fixed<const N: usize>(
        &mut self,
        _value: impl Fn(usize) -> Result<[u8; N], Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        Ok(())
    }

    fn framed<'v>(
        &mut self,
        value: impl Fn(usize) -> Result<&'v [u8], Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.add(|row| value(row).map(|bytes| bytes.len().saturating_sub(LENGTH_BYTES)))
    }

    fn plain<'v>(
        &mut self,
        value: impl Fn(usize) -> &'v [u8],
        check: impl Fn(&'v [u8]) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.add(|row| {
            let bytes = value(row);
            check(bytes).map(|()| bytes.len())
        })
    }

    fn built(
        &mut self,
        build: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
        _check: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        let Built { bytes, ends } = &mut *self.built;
        bytes.clear();
        ends.clear();
        for (size, &row) in self.sizes.iter_mut().zip(self.order) {
            let row = row as usize;
            if self.nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                let start = bytes.len();
                bytes.extend_from_slice(&[0; LENGTH_BYTES]);
                build(row, bytes).map_err(|wrong| (row, wrong))?;
                let len = bytes.len() - start - LENGTH_BYTES;
                bytes[start..start + LENGTH_BYTES].copy_from_slice(&(len as u32).to_be_bytes());
                *size += len;
            }
            ends.push(bytes.len());
        }
        Ok(())
    }
}

/// Writes a column's values, each at its row's cursor.
struct Writer<'r> {
    order: &'r [u32],
    nulls: Option<&'r NullBuffer>,
    built: Option<&'r Built>,
    cursors: &'r mut [usize],
    out: &'r mut [u8],
}

impl Writer<'_> {
    fn start_rows(&mut self, fields: u16, position: bool) {
        let fields = fields.to_be_bytes();
        for (cursor, &row) in self.cursors.iter_mut().zip(self.order) {
            put(self.out, cursor, &fields);
            if position {
                let [a, b, c, d] = row.to_be_bytes();
                put(self.out, cursor, &[0, 0, 0, 4, a, b, c, d]);
            }
        }
    }

    /// Calls `write` for each row that is not NULL, and writes the others.
    fn each(
        &mut self,
        mut write: impl FnMut(&mut [u8], &mut usize, usize) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        let Some(nulls) = self.nulls else {
            for (cursor, &row) in self.cursors.iter_mut().zip(self.order) {
                let row = row as usize;
                write(self.out, cursor, row).map_err(|wrong| (row, wrong))?;
            }
            return Ok(());
        };
        for (cursor, &row) in self.cursors.iter_mut().zip(self.order) {
            let row = row as usize;
            if nulls.is_null(row) {
                put(self.out, cursor, &NULL);
            } else {
                write(self.out, cursor, row).map_err(|wrong| (row, wrong))?;
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn put(out: &mut [u8], cursor: &mut usize, bytes: &[u8]) {
    out[*cursor..*cursor + bytes.len()].copy_from_slice(bytes);
    *cursor += bytes.len();
}

impl Sink for Writer<'_> {
    fn fixed<const N: usize>(
        &mut self,
        value: impl Fn(usize) -> Result<[u8; N], Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.each(|out, cursor, row| {
            put(out, cursor, &value(row)?);
            Ok(())
        })
    }

    fn framed<'v>(
        &mut self,
        value: impl Fn(usize) -> Result<&'v [u8], Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.each(|out, cursor, row| {
            put(out, cursor, value(row)?);
            Ok(())
        })
    }

    fn plain<'v>(
        &mut self,
        value: impl Fn(usize) -> &'v [u8],
        _check: impl Fn(&'v [u8]) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.each(|out, cursor, row| {
            let bytes = value(row);
            put(out, cursor, &(bytes.len() as u32).to_be_bytes());
            put(out, cursor, bytes);
            Ok(())
        })
    }

    fn built(
        &mut self,
        _build: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
        _check: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        let Some(Built { bytes, ends }) = self.built else { return Ok(()) };
        let mut start = 0;
        for (cursor, &end) in self.cursors.iter_mut().zip(ends) {
            let value = if end > start { &bytes[start..end] } else { &NULL };
            put(self.out, cursor, value);
            start = end;
        }
        Ok(())
    }
}
