//! `--verify`: records counted a second time, by code that shares nothing with the decoder, and
//! compared with what the ledger says was read.

use std::path::Path;

use crate::db::Connection;
use crate::decode::{ParquetSource, count_json_records, count_records};
use crate::source::{ContentReader, SourceError};

use super::CommandError;
use super::backfill::Begun;
use super::plan::Planning;
use super::summary::sealed_read;

/// What differs, for people; nothing if all counts agree.
pub(super) async fn count_again(
    connection: &Connection,
    planning: &Planning,
    begun: &Begun,
) -> Result<Vec<String>, CommandError> {
    let mut wrong = Vec::new();
    for (&at, load) in begun {
        let source = &planning.loads[at].source;
        let Some(read) = sealed_read(connection, load.id).await? else { continue };
        let failed = |error| SourceError::of(&source.location, error);
        let counted = match (&source.recognised.shape, &source.recognised.json) {
            (Some(shape), _) => {
                let reader = ContentReader::open(&source.location, source.fingerprint.clone(), 0)?;
                count_records(reader, shape).map_err(failed)?
            }
            (None, Some(shape)) => {
                let reader = ContentReader::open(&source.location, source.fingerprint.clone(), 0)?;
                let counted = count_json_records(reader, shape);
                // What is no JSON throughout has no count but the decoder's own.
                match counted.map_err(failed)? {
                    Some(counted) => counted,
                    None => continue,
                }
            }
            (None, None) => {
                let bytes = source.location.bytes(Some(&source.fingerprint))?;
                ParquetSource::over(Path::new(&*source.name), bytes)
                    .map_err(|error| CommandError::Refused(error.to_string()))?
                    .rows()
            }
        };
        if counted != read {
            wrong.push(format!(
                "{}: {read} records were read, but an independent count finds {counted}",
                source.name
            ));
        }
    }
    Ok(wrong)
}
