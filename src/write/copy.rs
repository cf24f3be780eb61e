//! The first rung: binary COPY of a batch, encoded from its columns into large reused buffers.

use std::pin::pin;

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;

use super::WriteError;
use crate::db::Connection;
use crate::encode::Encoder;
use crate::limit::COPY_MESSAGE_BYTES;

/// Sends the rows of `batch` in `order` by the COPY command `sql`. Returns the server's row count.
pub(super) async fn copy_rows(
    db: &Connection,
    sql: &str,
    encoder: &Encoder,
    batch: &RecordBatch,
    order: &[u32],
    buffer: &mut BytesMut,
) -> Result<u64, WriteError> {
    let mut rows = encoder.bind(batch)?;
    let mut sink = pin!(db.copy_in::<_, Bytes>(sql).await?);
    buffer.clear();
    encoder.header(buffer);
    let mut rest = order;
    while !rest.is_empty() {
        let sent = rows.message(rest, COPY_MESSAGE_BYTES, buffer)?;
        rest = &rest[sent..];
        if !rest.is_empty() {
            sink.feed(buffer.split().freeze()).await?;
        }
    }
    encoder.trailer(buffer);
    sink.feed(buffer.split().freeze()).await?;
    Ok(sink.as_mut().finish().await?)
}
