//! The order thread: takes the units' batches in source order, numbers their records and lines, and
//! passes them on to the writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;

use super::PipelineError;
use super::crossing::Entry;
use super::decoder::Prepared;
use super::live::{Live, add};
use super::reader::Slot;
use crate::batch::Original;

/// What reaches the writers, in source order.
pub(super) enum Item {
    /// A batch.
    Batch(Box<Prepared>),
    /// A load cannot go on.
    Failed { load: usize, error: PipelineError },
}

/// Runs until the reader and the decoders are done, or the writers are gone.
pub(super) fn run(slots: Receiver<Slot>, failed: &[AtomicBool], entry: &Entry, live: &Arc<Live>) {
    let (mut next_row, mut next_line) = (1, 1);
    for slot in slots {
        if let Some((row, line)) = slot.starts_at {
            (next_row, next_line) = (row, line);
        }
        for result in slot.batches {
            let item = match result {
                Ok(mut prepared) => {
                    let batch = &mut prepared.job.batch;
                    batch.span.first_row = next_row;
                    // A chunk of text may begin and end within one line.
                    let has_lines = matches!(batch.original, Original::Text(_));
                    batch.span.first_line = if has_lines { next_line } else { 0 };
                    next_row += batch.read();
                    next_line += batch.span.lines;
                    add(&live.records_read, batch.read());
                    // A gap in the rows of a failed load would show as torn, not as unfinished.
                    if failed[slot.load].load(Ordering::Relaxed) || prepared.committed_before {
                        continue;
                    }
                    add(&live.batches_waiting, 1);
                    Item::Batch(prepared)
                }
                Err(error) => {
                    failed[slot.load].store(true, Ordering::Relaxed);
                    Item::Failed { load: slot.load, error: error.starting_at(next_line) }
                }
            };
            if entry.send(item).is_err() {
                return;
            }
        }
    }
}
