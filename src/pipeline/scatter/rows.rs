//! Rows of a scattered window once more: a record that the server refused is looked up in its
//! source, and a part is merged anew without it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::Members;
use super::gather::Gathered;
use crate::batch::Chunk;
use crate::decode::{JsonDecoder, TextDecoder};
use crate::pipeline::json::read_piece;
use crate::pipeline::reader::read_span;
use crate::pipeline::{Form, LoadPlan, PipelineError, Plan};
use crate::span::{RowPlace, Span};
use crate::spill::{Merge, Merged, Origin, Range, SpillError};
use crate::write::{Found, Rows};

/// A part of a window's rows.
pub(super) struct Part {
    pub plan: Arc<Plan>,
    pub members: Arc<Members>,
    pub gathered: Arc<Gathered>,
    pub range: Range,
    pub last_read: Mutex<Option<Read>>,
}

/// The span that was read again last.
pub(super) struct Read {
    load: usize,
    span: u32,
    chunk: Arc<Chunk>,
    places: Vec<RowPlace>,
}

impl Part {
    /// All its rows.
    pub fn merge(&self, refused: HashSet<Origin>) -> Result<Merged, SpillError> {
        let Gathered { runs, order, .. } = &*self.gathered;
        let mut merge = Merge::new(runs, order, self.range)?.leaving_out(refused);
        match merge.next_rows(usize::MAX)? {
            Some(merged) => Ok(merged),
            None => Ok(order.nothing()),
        }
    }

    fn place(&self, plan: &LoadPlan, origin: Origin, span: &Span) -> Result<Found, String> {
        let mut last = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            last.take().filter(|read| (read.load, read.span) == (origin.load(), origin.span()));
        let read = match known {
            Some(read) => read,
            None => read_again(plan, origin, span).map_err(|error| error.to_string())?,
        };
        let place = read.places.iter().find(|place| place.row == origin.row()).copied();
        let read = last.insert(read);
        let place = place.ok_or("the record is not there any more")?;
        let (offset, len) = (place.offset as usize, place.len as usize);
        Ok(Found {
            row: span.first_row + u64::from(origin.row()),
            line: Some(span.first_line + u64::from(place.line)),
            bytes: Some((span.start + u64::from(place.offset), u64::from(place.len))),
            raw: read.chunk.bytes.get(offset..offset + len).map(<[u8]>::to_vec),
        })
    }
}

fn read_again(plan: &LoadPlan, origin: Origin, span: &Span) -> Result<Read, PipelineError> {
    let (decoded, chunk) = match &plan.form {
        Form::Text { shape, .. } => {
            let chunk = Arc::new(Chunk { bytes: read_span(plan, span.start, span.end)? });
            let decoded = TextDecoder::new(&plan.mapping, shape)
                .and_then(|mut decoder| decoder.decode(&chunk, span.start == 0));
            (decoded, chunk)
        }
        Form::Json { fingerprint, shape } => {
            let piece = read_piece(plan, fingerprint, shape, span.start)?;
            let decoded = JsonDecoder::new(&plan.mapping, shape)
                .and_then(|mut decoder| decoder.decode(&piece));
            (decoded, piece.chunk)
        }
        Form::Parquet { .. } => {
            return Err(PipelineError::Lost("the bytes of a source without any"));
        }
    };
    let named = |cause| PipelineError::Decode { source_name: Arc::clone(&plan.source), cause };
    let decoded = decoded.map_err(named)?;
    Ok(Read { load: origin.load(), span: origin.span(), chunk, places: decoded.places })
}

impl Rows for Part {
    fn find(&self, origin: Origin) -> Result<Found, String> {
        let at = self.members.at(origin.load()).ok_or("its source is not known")?;
        let plan = &self.plan.loads[at];
        let span = self.gathered.span(origin).ok_or("its span is not known")?;
        match plan.form {
            Form::Text { .. } | Form::Json { .. } => self.place(plan, origin, span),
            Form::Parquet { .. } => Ok(Found {
                row: span.first_row + u64::from(origin.row()),
                line: None,
                bytes: None,
                raw: None,
            }),
        }
    }

    fn without(&self, refused: HashSet<Origin>) -> Result<Merged, SpillError> {
        self.merge(refused)
    }
}
