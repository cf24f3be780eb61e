//! One nightly run at a time: the lease, its heartbeat, and who the holder is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::command::CommandError;
use crate::db::ledger::{self, Holder, Taken};
use crate::db::{Connection, Database};
use crate::pipeline::Cancel;
use crate::report::human;

/// The lease's name.
const NAME: &str = "nightly";
/// Heartbeats within the time after which a silent holder counts as gone.
const BEATS: u32 = 6;

/// The lease while it is ours.
#[derive(Debug)]
pub(super) struct Lease {
    epoch: i64,
    lost: Arc<AtomicBool>,
    beating: JoinHandle<()>,
    /// Who had it before and never gave it back.
    pub before: Option<Holder>,
}

/// What became of the wish for it.
pub(super) enum Wish {
    Mine(Lease),
    /// Somebody else is at it; what to say.
    Theirs(String),
}

/// Takes the lease and keeps it until it is released or lost; then `cancel` is set.
pub(super) async fn take(
    database: &Database,
    connection: &Connection,
    stale: Duration,
    cancel: Cancel,
) -> Result<Wish, CommandError> {
    let me = Me::now();
    let is_dead = |holder: &str| me.knows_dead(holder);
    let taken =
        ledger::take_lease(connection, NAME, &me.to_string(), stale.as_secs_f64(), is_dead).await?;
    let (epoch, before) = match taken {
        Taken::Mine(epoch, before) => (epoch, before),
        Taken::Theirs(holder) => return Ok(Wish::Theirs(is_at_it(&holder))),
    };
    let lost = Arc::new(AtomicBool::new(false));
    let beating = tokio::spawn(beat(database.clone(), epoch, stale, cancel, Arc::clone(&lost)));
    Ok(Wish::Mine(Lease { epoch, lost, beating, before }))
}

/// Who has the lease, if somebody has; what to say.
pub(super) async fn held(connection: &Connection) -> Result<Option<String>, CommandError> {
    let holder = ledger::lease_holder(connection, NAME).await?;
    let held = holder.filter(|holder| !holder.released && holder.silent_s <= holder.stale_s);
    Ok(held.filter(|held| !Me::now().knows_dead(&held.holder)).map(|held| is_at_it(&held)))
}

fn is_at_it(holder: &Holder) -> String {
    let status =
        holder.run_id.map_or("tidegate status".to_owned(), |run| format!("tidegate status {run}"));
    let left = (holder.stale_s - holder.silent_s).max(0.0);
    format!(
        "another nightly run is at it: {}, since {}, last heard {} ago; nothing was done. Look at \
         it with: {status}. If it is dead it can be taken over in {}",
        Me::shown(&holder.holder),
        holder.taken_at,
        human::seconds(holder.silent_s),
        human::seconds(left)
    )
}

impl Lease {
    /// Whether another run has taken it over.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says which run has it, and learns whether it is still ours.
    pub async fn check(&self, connection: &Connection, run_id: i64) -> Result<bool, CommandError> {
        let kept = ledger::keep_lease(connection, NAME, self.epoch, Some(run_id)).await?;
        if !kept {
            self.lost.store(true, Ordering::Relaxed);
        }
        Ok(kept)
    }

    /// Gives it back.
    pub async fn release(self, connection: &Connection) -> Result<(), CommandError> {
        self.beating.abort();
        Ok(ledger::release_lease(connection, NAME, self.epoch).await?)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Says again and again that this process is alive. A server that is away is waited for: while it
/// is, nobody can take the lease; when it is back, the epoch tells whether somebody did.
async fn beat(
    database: Database,
    epoch: i64,
    stale: Duration,
    cancel: Cancel,
    lost: Arc<AtomicBool>,
) {
    let mut connection = None;
    loop {
        tokio::time::sleep(stale / BEATS).await;
        let open = match connection.take() {
            Some(open) => open,
            None => match database.connect().await {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        match ledger::keep_lease(&open, NAME, epoch, None).await {
            Ok(true) => connection = Some(open),
            Ok(false) => {
                lost.store(true, Ordering::Relaxed);
                cancel.interrupt();
                return;
            }
            // The connection may be gone: the next beat opens another.
            Err(_) => {}
        }
    }
}

/// What tells this process from all others: machine, its start, name space of process numbers,
/// process and its start.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Me {
    host: String,
    world: String,
    pid: u32,
    started: String,
}

impl Me {
    fn now() -> Self {
        let pid = std::process::id();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { host: host.replace(' ', "_"), world: world(), pid, started: started(pid) }
    }

    /// A holder for people.
    fn shown(holder: &str) -> String {
        let mut words = holder.split(' ');
        let (host, _, pid) = (words.next(), words.next(), words.next());
        format!("process {} on {}", pid.unwrap_or("?"), host.unwrap_or("?"))
    }

    /// Whether a holder is a process that this machine knows to be gone. Of others nothing is
    /// known.
    fn knows_dead(&self, holder: &str) -> bool {
        let words: Vec<&str> = holder.split(' ').collect();
        let &[host, world, pid, start] = words.as_slice() else { return false };
        if self.world.is_empty() || (host, world) != (&self.host, &self.world) {
            return false;
        }
        pid.parse().is_ok_and(|pid: u32| started(pid) != start)
    }
}

impl std::fmt::Display for Me {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.host, self.world, self.pid, self.started)
    }
}

/// The start of this machine and the name space of its process numbers; nothing where the system
/// does not say.
fn world() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match boot.trim() {
        "" => String::new(),
        boot => format!("{boot}/{}", space.display()).replace(' ', "_"),
    }
}

/// When a process started, in the kernel's ticks; `gone` if there is none.
fn started(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name stands in brackets and may hold anything.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    // A process that has ended and was not yet waited for is gone.
    match (fields.first(), fields.get(19)) {
        (Some(&state), Some(start)) if state != "Z" && state != "X" => (*start).to_owned(),
        _ => "gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_of_this_machine_are_known_to_be_dead() {
        let me = Me::now();
        assert!(!me.knows_dead(&me.to_string()), "it lives");
        let gone = Me { started: "1".to_owned(), ..me.clone() };
        assert!(me.knows_dead(&gone.to_string()), "the number was given to another process");
        let elsewhere = Me { host: "elsewhere".to_owned(), ..gone.clone() };
        assert!(!me.knows_dead(&elsewhere.to_string()));
        let before = Me { world: "another".to_owned(), ..gone };
        assert!(!me.knows_dead(&before.to_string()));
        assert!(!me.knows_dead("nonsense"));
        assert!(Me::shown(&me.to_string()).contains(&format!("process {}", me.pid)));
    }
}
