//! Records that are one row each: their fields go to columns as the mapping says.

use arrow::array::RecordBatch;

use super::chunk::{RecordDecoder, RecordFault, Taken, TakenRows};
use super::fields::{Scanner, Unfit};
use crate::decode::DecodeError;
use crate::decode::rows::Rows;
use crate::mapping::{JsonShape, Mapping};

/// Makes rows of one table.
#[derive(Debug)]
pub(super) struct FlatRecords {
    scanner: Scanner,
    rows: Rows,
    taken: usize,
}

impl FlatRecords {
    pub fn new(mapping: &Mapping, shape: &JsonShape) -> Result<Self, DecodeError> {
        let rows = Rows::new(mapping, &shape.nulls, shape.fields.len())?;
        Ok(Self { scanner: Scanner::new(mapping, shape), rows, taken: 0 })
    }
}

impl RecordDecoder for FlatRecords {
    fn take(&mut self, record: &[u8]) -> Result<Taken, RecordFault> {
        let found = self.scanner.scan(record).map_err(|unfit| refuse(&unfit))?;
        match self.rows.take(&found, self.taken) {
            Ok(true) => {
                self.taken += 1;
                Ok(Taken::Row)
            }
            Ok(false) => Ok(Taken::Skipped),
            Err(fault) => {
                let (column, reason) = self.rows.explain(fault, &found);
                Err(RecordFault { rule: fault.1.rule().into(), column: Some(column), reason })
            }
        }
    }

    fn finish(&mut self) -> Result<TakenRows, DecodeError> {
        let rows = std::mem::take(&mut self.taken);
        let root: RecordBatch = self.rows.finish(rows)?;
        Ok(TakenRows { root, children: Vec::new() })
    }
}

#[cold]
fn refuse(unfit: &Unfit) -> RecordFault {
    RecordFault {
        rule: unfit.rule().into(),
        column: unfit.column().map(str::to_owned),
        reason: unfit.reason(),
    }
}
