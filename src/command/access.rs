//! Which database a command works on, and what must be there before it can.

use std::collections::BTreeSet;

use crate::db::embedded::Embedded;
use crate::db::migration::{self, Extent};
use crate::db::{Connection, Database, DbError, catalog, relation};

use super::CommandError;

/// How the database is named: the first that is there of a URL, the environment, and the embedded
/// server.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// `--database-url` or `DATABASE_URL`.
    pub url: Option<String>,
}

impl Access {
    /// The database, without starting anything; `None`: it would be the embedded server.
    fn named(&self) -> Result<Option<Database>, DbError> {
        match &self.url {
            Some(url) => Database::from_url(url).map(Some),
            None => Database::from_env(),
        }
    }

    /// The database. Starts the embedded server if nothing else is named.
    ///
    /// # Errors
    /// When the name makes no sense or the embedded server does not start.
    pub async fn database(&self) -> Result<Database, DbError> {
        match self.named()? {
            Some(database) => Ok(database),
            None => Embedded::locate(None)?.start().await,
        }
    }

    /// A connection to it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn connect(&self) -> Result<(Database, Connection), DbError> {
        let database = self.database().await?;
        let connection = database.connect().await?;
        Ok((database, connection))
    }

    /// A connection to a database that has a ledger. `None`: it has none yet.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn connect_to_ledger(&self) -> Result<Option<Connection>, DbError> {
        let (_, connection) = self.connect().await?;
        Ok(has_ledger(&connection).await?.then_some(connection))
    }
}

/// Whether the ledger's tables are there.
pub(super) async fn has_ledger(connection: &Connection) -> Result<bool, DbError> {
    let row = connection
        .query_typed_one("SELECT to_regclass('tidegate.portion') IS NOT NULL", &[])
        .await?;
    Ok(row.get(0))
}

/// Brings up the ledger, which is ours alone, and the tables of the domains that are needed where
/// nobody can mind: on the embedded server, or in a database that has no tables but ours. Indexes
/// and functions for queries, which would make the load slower, are left to `migrate up`.
pub(super) async fn bring_up(
    database: &Database,
    connection: &mut Connection,
    needed: &BTreeSet<&str>,
) -> Result<(), CommandError> {
    let mut missing = None;
    for domain in needed {
        if migration::pending(connection, domain, Extent::Loads).await? {
            missing = missing.or(Some(domain));
        }
    }
    if let Some(domain) = missing
        && !database.is_embedded()
        && catalog::has_user_tables(connection, &relation::relations(connection).await?).await?
    {
        return Err(CommandError::Refused(format!(
            "{} has tables of its own but not those of the domain {domain}; make them with: \
             tidegate migrate up --domain {domain}, or name a table of yours with --table",
            database.display()
        )));
    }
    let domains: Vec<&str> = std::iter::once("ledger").chain(needed.iter().copied()).collect();
    migration::up(database, connection, &domains, Extent::Loads, true).await?;
    Ok(())
}
