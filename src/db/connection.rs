//! An open connection, and what its server says of itself.

use std::fmt;
use std::ops::{Deref, DerefMut};

use tokio_postgres::Client;

use super::error::{DbError, Doing};

/// An open connection; what a [`Client`] can do, it can.
///
/// Use only unnamed statements (`query_typed`, `execute_typed`, `batch_execute`,
/// `simple_query`, or `copy_in` inside a transaction): named ones are lost or found twice behind
/// a pooler.
pub struct Connection {
    pub(super) client: Client,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("closed", &self.client.is_closed()).finish()
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Which TimescaleDB is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Apache 2: hypertables only.
    Apache,
    /// Community: compression, policies and continuous aggregates too.
    Community,
}

/// TimescaleDB in the connected database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timescale {
    /// Which edition.
    pub edition: Edition,
    /// The extension's version, such as `2.19.3`.
    pub version: String,
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerInfo {
    /// The version as the server writes it, such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// The version as a number: 150018.
    pub version_num: i32,
    /// When the server started, in seconds since 1970 UTC. Another value means a restart, after
    /// which batches that were acknowledged may be lost.
    pub started_at: f64,
    /// The cluster's system identifier, where this role may read it: tells another server at the
    /// same address.
    pub system_identifier: Option<i64>,
    /// TimescaleDB, if the extension is created in this database.
    pub timescaledb: Option<Timescale>,
}

impl Connection {
    /// Asks the server who it is.
    ///
    /// # Errors
    /// [`DbError::Server`].
    pub async fn server(&self) -> Result<ServerInfo, DbError> {
        const SQL: &str = "SELECT current_setting('server_version'), \
             current_setting('server_version_num')::int4, \
             extract(epoch FROM pg_postmaster_start_time())::float8, \
             CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') \
                  THEN (SELECT system_identifier FROM pg_catalog.pg_control_system()) END, \
             (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'), \
             current_setting('timescaledb.license', true)";
        let row = self.query_typed_one(SQL, &[]).await.doing("asking the server's version")?;
        let license: Option<String> = row.try_get(5)?;
        let version: Option<String> = row.try_get(4)?;
        let edition = match license.as_deref() {
            Some("timescale") => Edition::Community,
            _ => Edition::Apache,
        };
        Ok(ServerInfo {
            version: row.try_get(0)?,
            version_num: row.try_get(1)?,
            started_at: row.try_get(2)?,
            system_identifier: row.try_get(3)?,
            timescaledb: version.map(|version| Timescale { edition, version }),
        })
    }
}
