//! Where threads meet tasks: batches cross to the writers here, and decoder threads ask for tickers
//! here. No other file of the pipeline touches both worlds.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};

use super::PipelineError;
use super::order::Item;
use crate::db::{Connection, Database};
use crate::error::Class;
use crate::limit::{BACKOFF_FIRST_MS, BACKOFF_LAST_MS, TICKERS_CACHED_MAX};
use crate::write::{RetryPolicy, WriteError, resolve_tickers};

/// The threads' end of the queue of batches.
pub(super) struct Entry {
    sender: mpsc::Sender<Item>,
}

/// A queue of `len` items from threads to tasks.
pub(super) fn queue(len: usize) -> (Entry, mpsc::Receiver<Item>) {
    let (sender, receiver) = mpsc::channel(len);
    (Entry { sender }, receiver)
}

impl Entry {
    /// Waits for room. An error: nobody takes batches any more.
    pub fn send(&self, item: Item) -> Result<(), ()> {
        self.sender.blocking_send(item).map_err(|_| ())
    }
}

/// Turns symbols into ticker ids for decoder threads: from memory, else from the database on a
/// connection of its own, in transactions that no batch waits for.
pub(super) struct TickerDesk {
    handle: Handle,
    database: Database,
    connection: Mutex<Option<Connection>>,
    known: RwLock<HashMap<(String, String), i32>>,
    retry: RetryPolicy,
}

impl TickerDesk {
    pub fn new(handle: Handle, database: Database, retry: RetryPolicy) -> Self {
        let (connection, known) = (Mutex::new(None), RwLock::default());
        Self { handle, database, connection, known, retry }
    }

    /// The ids of `symbols` at `venue`, in their order. Blocks; for threads, not for tasks.
    pub fn ids(&self, venue: &str, symbols: &[&str]) -> Result<Vec<i32>, PipelineError> {
        if let Some(ids) = self.remembered(venue, symbols) {
            return Ok(ids);
        }
        let names: Vec<String> = symbols.iter().map(|&symbol| symbol.to_owned()).collect();
        let found = self.handle.block_on(self.ask(venue, &names))?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > TICKERS_CACHED_MAX {
            known.clear();
        }
        let missing = || PipelineError::Lost("a ticker that was just added");
        let ids = names.iter().map(|name| found.get(name).copied().ok_or_else(missing));
        let ids = ids.collect::<Result<_, _>>()?;
        known.extend(found.into_iter().map(|(name, id)| ((venue.to_owned(), name), id)));
        Ok(ids)
    }

    fn remembered(&self, venue: &str, symbols: &[&str]) -> Option<Vec<i32>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let id = |symbol: &&str| known.get(&(venue.to_owned(), (*symbol).to_owned())).copied();
        symbols.iter().map(id).collect()
    }

    async fn ask(
        &self,
        venue: &str,
        symbols: &[String],
    ) -> Result<HashMap<String, i32>, WriteError> {
        let began = std::time::Instant::now();
        let mut pause_ms = BACKOFF_FIRST_MS;
        let mut slot = self.connection.lock().await;
        loop {
            let error = match ask_once(&self.database, &mut slot, venue, symbols).await {
                Ok(ids) => return Ok(ids),
                Err(error) => error,
            };
            *slot = None;
            if !matches!(error.class(), Class::Redo | Class::Reconnect)
                || began.elapsed() > self.retry.deadline
            {
                return Err(error);
            }
            tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(BACKOFF_LAST_MS);
        }
    }
}

async fn ask_once(
    database: &Database,
    slot: &mut Option<Connection>,
    venue: &str,
    symbols: &[String],
) -> Result<HashMap<String, i32>, WriteError> {
    let connection = match slot.take() {
        Some(connection) if !connection.is_closed() => connection,
        _ => database.connect().await?,
    };
    resolve_tickers(slot.insert(connection), venue, symbols).await
}
