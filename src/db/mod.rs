//! The target database: connecting, error classes, the catalogue, migrations, partitions and the
//! embedded server. The only folder that opens sockets to PostgreSQL. It knows nothing of files,
//! flags or reports; writers and commands call it.

pub mod catalog;
pub mod connect;
mod connection;
mod conninfo;
pub mod embedded;
mod error;
pub mod exchange;
pub mod ledger;
pub mod migration;
pub mod partition;
pub mod relation;
pub mod sqlstate;
#[cfg(test)]
pub(crate) mod testing;
pub mod timescale;
mod tls;

pub use connect::Database;
pub use connection::{Connection, Edition, ServerInfo, Timescale};
pub use error::{DbError, Doing};
