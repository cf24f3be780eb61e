//! Finds, before anything is sent, every value that its target column cannot take as it is. It
//! looks only at columns where something can be wrong, and it decides nothing: the caller rejects.

use arrow::array::RecordBatch;
use arrow::buffer::NullBuffer;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::column::{Column, Sink};
use super::value::Wrong;
use super::{EncodeError, Encoder};

/// Characters of a value that a reason shows.
const SHOWN_CHARS_MAX: usize = 80;

/// A value that its target column cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The row's position in the batch.
    pub row: u32,
    /// The column's position in the batch; [`Encoder::column_name`] names it.
    pub column: usize,
    /// `out_of_range`, `precision_loss`, `bad_number`, `too_long`, `nul_byte`, `null_value`,
    /// `bad_json`, `nul_escape` or `bad_uuid`.
    pub rule: &'static str,
    /// What is wrong, for a person.
    pub reason: String,
}

impl Encoder {
    /// Every value of the batch that its target column cannot take without loss, by row, then by
    /// column. Columns where nothing can be wrong cost nothing.
    ///
    /// NULL is a fault where the column refuses it, also if the column has a default: a NULL that
    /// is sent is not replaced by one.
    ///
    /// # Errors
    /// [`EncodeError::ColumnCount`] and [`EncodeError::BatchType`] if the batch is not of the
    /// schema that this encoder was made for.
    pub fn faults(&self, batch: &RecordBatch) -> Result<Vec<Fault>, EncodeError> {
        let mut faults = Vec::new();
        for column in &Column::bind(&self.plans, batch)? {
            let found = find(column, batch.num_rows());
            faults.extend(found.into_iter().map(|(row, wrong)| Fault {
                row: row as u32,
                column: column.at,
                rule: wrong.rule(),
                reason: reason(column, batch, row, wrong),
            }));
        }
        faults.sort_by_key(|fault| (fault.row, fault.column));
        Ok(faults)
    }

    /// The error for a value that was to be sent.
    pub(super) fn refuse(
        batch: &RecordBatch,
        column: &Column<'_>,
        (row, wrong): (usize, Wrong),
    ) -> EncodeError {
        EncodeError::Value {
            row: row as u32,
            column: column.plan.name.clone(),
            rule: wrong.rule(),
            reason: reason(column, batch, row, wrong),
        }
    }
}

fn find(column: &Column<'_>, rows: usize) -> Vec<(usize, Wrong)> {
    let mut finder = Finder { rows, nulls: column.nulls(), found: Vec::new() };
    if column.plan.not_null
        && let Some(nulls) = column.nulls()
    {
        let missing = (0..rows).filter(|row| nulls.is_null(*row));
        finder.found.extend(missing.map(|row| (row, Wrong::Null)));
    }
    if !column.is_sure() {
        // The finder keeps what it meets and never stops the feed.
        let _ = column.feed(&mut finder);
    }
    finder.found
}

fn reason(column: &Column<'_>, batch: &RecordBatch, row: usize, wrong: Wrong) -> String {
    let options = FormatOptions::default();
    let value = ArrayFormatter::try_new(batch.column(column.at).as_ref(), &options)
        .map_or(String::new(), |formatter| formatter.value(row).to_string());
    let shown = match value.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    };
    wrong.reason(&shown, &column.plan.type_name)
}

/// Keeps every value that cannot be sent.
struct Finder<'r> {
    rows: usize,
    nulls: Option<&'r NullBuffer>,
    found: Vec<(usize, Wrong)>,
}

impl Finder<'_> {
    fn each(&mut self, mut check: impl FnMut(usize) -> Result<(), Wrong>) {
        for row in 0..self.rows {
            if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            if let Err(wrong) = check(row) {
                self.found.push((row, wrong));
            }
        }
    }
}

impl Sink for Finder<'_> {
    fn fixed<const N: usize>(
        &mut self,
        value: impl Fn(usize) -> Result<[u8; N], Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.each(|row| value(row).map(drop));
        Ok(())
    }

    fn framed<'v>(
        &mut self,
        value: impl Fn(usize) -> Result<&'v [u8], Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.each(|row| value(row).map(drop));
        Ok(())
    }

    fn plain<'v>(
        &mut self,
        value: impl Fn(usize) -> &'v [u8],
        check: impl Fn(&'v [u8]) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        self.each(|row| check(value(row)));
        Ok(())
    }

    fn built(
        &mut self,
        _build: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
        check: impl Fn(usize, &mut Vec<u8>) -> Result<(), Wrong>,
    ) -> Result<(), (usize, Wrong)> {
        let mut scratch = Vec::new();
        self.each(|row| {
            scratch.clear();
            check(row, &mut scratch)
        });
        Ok(())
    }
}
