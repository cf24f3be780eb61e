//! A server for unit tests: one embedded server is shared by the tests that run at the same time,
//! each test gets a database of its own, and the last one out destroys the server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use super::Database;
use super::embedded::Embedded;

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

struct Server {
    embedded: Embedded,
    database: Database,
    _home: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        runtime().block_on(self.embedded.destroy(true)).unwrap();
    }
}

/// A folder with a short path that the server's user can enter.
pub(crate) fn short_home() -> TempDir {
    let home = tempfile::Builder::new().prefix("tg").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    home
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The embedded server of `home`.
pub(crate) fn server_in(home: &Path) -> Embedded {
    Embedded::locate(Some(home.to_path_buf())).unwrap()
}

/// Runs a test against a new, empty database.
pub(crate) fn run(test: impl AsyncFnOnce(Database)) {
    let server = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let home = short_home();
            let embedded = server_in(home.path());
            let database = runtime().block_on(embedded.start()).unwrap();
            let server = Arc::new(Server { embedded, database, _home: home });
            *shared = Arc::downgrade(&server);
            server
        })
    };
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    runtime().block_on(async {
        let connection = server.database.connect().await.unwrap();
        connection.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        test(server.database.with_database(&name)).await;
    });
}
