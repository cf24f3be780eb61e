//! Rows that are no load: those of load tests. The first rung alone, a transaction a batch, without
//! a row in the ledger; whoever calls sees to it that they go again.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::BytesMut;

use super::copy::copy_rows;
use super::{TableTarget, WriteError};
use crate::db::Connection;
use crate::encode::Encoder;

/// Appends batches of one schema to one table.
#[derive(Debug)]
pub struct Appender {
    sql: String,
    encoder: Encoder,
}

impl Appender {
    /// For batches of `schema`, whose columns go to those of `target` one to one.
    ///
    /// # Errors
    /// [`WriteError::Encode`] for types that do not go together.
    pub fn new(target: &TableTarget, schema: &Schema) -> Result<Self, WriteError> {
        let sql = format!(
            "COPY {} ({}) FROM STDIN (FORMAT binary)",
            target.table.sql_name(),
            target.column_list("")
        );
        Ok(Self { sql, encoder: Encoder::new(schema, &target.columns)? })
    }

    /// Appends the rows of a batch in one transaction that commits as the server is set to. How
    /// many there were, as the server counts them.
    ///
    /// # Errors
    /// The server's; then nothing was appended, unless the connection was lost at the commit.
    pub async fn append(
        &self,
        db: &Connection,
        batch: &RecordBatch,
        buffer: &mut BytesMut,
    ) -> Result<u64, WriteError> {
        let order: Vec<u32> = (0..batch.num_rows() as u32).collect();
        db.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
        match copy_rows(db, &self.sql, &self.encoder, batch, &order, buffer).await {
            Ok(rows) => {
                db.batch_execute("COMMIT").await?;
                Ok(rows)
            }
            Err(error) => {
                // What it says is of no interest beside the error.
                let _ = db.batch_execute("ROLLBACK").await;
                Err(error)
            }
        }
    }
}
