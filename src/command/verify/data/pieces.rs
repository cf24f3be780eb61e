//! A content that was loaded, read again batch by batch on a thread of its own: one batch is
//! decoded while another is compared.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::decode::ParquetSource;
use crate::source::{ContentReader, Fingerprint, Location, SourceError};

use super::super::super::CommandError;
use super::super::super::inspect::read::{self, Input, Piece};
use super::super::super::recipe::Recipe;
use super::compare::Subject;

/// The batches of a content, in its order.
pub(super) fn pieces(subject: &Subject) -> mpsc::Receiver<Result<Piece, CommandError>> {
    let (sender, receiver) = mpsc::channel(1);
    let (location, fingerprint) = (subject.location.clone(), subject.fingerprint.clone());
    let (recipe, name) = (subject.recipe.clone(), Arc::clone(&subject.name));
    tokio::task::spawn_blocking(move || {
        let take = |piece: Piece| {
            // Nobody takes it any more after a fault.
            let _ = sender.blocking_send(Ok(piece));
        };
        let outcome = match (&recipe.shape, &recipe.json) {
            (None, None) => columns(&location, &fingerprint, &recipe, take),
            (shape, json) => ContentReader::open(&location, fingerprint, 0)
                .map_err(CommandError::from)
                .and_then(|mut reader| {
                    let input = Input { name: &name, bytes: &mut reader, enough: u64::MAX };
                    match (shape, json) {
                        (Some(shape), _) => read::text(input, shape, &recipe.mapping, take),
                        (_, Some(shape)) => read::json(input, shape, &recipe.mapping, take),
                        (None, None) => Ok(true),
                    }
                }),
        };
        if let Err(error) = outcome {
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

fn columns(
    location: &Location,
    fingerprint: &Fingerprint,
    recipe: &Recipe,
    take: impl FnMut(Piece),
) -> Result<bool, CommandError> {
    let bytes = location.bytes(Some(fingerprint))?;
    let source = ParquetSource::over(Path::new(&location.to_string()), bytes)
        .map_err(|error| CommandError::Refused(error.to_string()))?;
    let outcome = read::columns(&source, u64::MAX, &recipe.mapping, take);
    source.check().map_err(|error| SourceError::of(location, error))?;
    outcome
}
