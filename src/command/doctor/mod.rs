//! `doctor`: looks at the server, the rights, the ledger and this machine, and says what to change
//! and why. It changes nothing and tries nothing out: it only asks. A check that cannot be made is
//! a warning, not an error.

mod ledger;
mod link;
mod machine;
mod rights;
mod server;
mod settings;

use crate::db::DbError;

use super::finding::{Finding, Level, add, answer};
use super::{Access, Answer, CommandError};

/// What `doctor` is asked.
#[derive(Debug, Clone)]
pub struct DoctorRequest {
    /// Which database.
    pub access: Access,
}

/// Bytes of memory of this machine, where the system says.
pub(super) fn memory_bytes() -> Option<u64> {
    machine::Machine::look().memory_bytes
}

/// Makes every check.
///
/// # Errors
/// Only for a database that is named in a way that makes no sense; what is wrong with one that can
/// be named is a finding.
pub async fn run(request: &DoctorRequest) -> Result<Answer, CommandError> {
    let mut findings = Vec::new();
    let machine = machine::Machine::look();
    let database = match request.access.database().await {
        Ok(database) => database,
        Err(error @ DbError::Config(_)) => return Err(error.into()),
        Err(error) => {
            findings.push(no_connection(&error));
            return Ok(answer(&findings));
        }
    };
    let link = match link::connect(&database).await {
        Ok(link) => link,
        Err(error) => {
            findings.push(no_connection(&error));
            return Ok(answer(&findings));
        }
    };
    let db = &link.connection;
    add(&mut findings, "connection", link::check(&database, &link).await);
    let facts = server::read(db).await;
    let local = facts.as_ref().is_ok_and(|facts| facts.local);
    add(&mut findings, "server", server::check(db, facts).await);
    let read = settings::read(db).await;
    let data = read.as_ref().ok().and_then(|settings| settings.data_directory());
    let memory = machine.memory_bytes.filter(|_| local);
    add(&mut findings, "settings", read.map(|settings| settings::check(&settings, memory)));
    add(&mut findings, "rights", rights::check(db).await);
    add(&mut findings, "ledger", ledger::check(db).await);
    findings.extend(machine.check(data.as_deref().filter(|_| local)));
    Ok(answer(&findings))
}

fn no_connection(error: &DbError) -> Finding {
    Finding::advise(
        Level::Fault,
        "connection",
        error.to_string(),
        "mend the connection first: everything else is checked through it",
        "nothing can be loaded without one",
    )
}
