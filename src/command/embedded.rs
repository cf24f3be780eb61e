//! `db`: the embedded server by hand. It always means the embedded server, whatever
//! `DATABASE_URL` says, and tells the user so. It deletes nothing without `yes`.

use std::process::Command;

use serde_json::json;

use crate::db::Database;
use crate::db::embedded::{Embedded, EmbeddedStatus};
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::{Answer, CommandError};

/// Variables that would lead psql elsewhere than to the server that its arguments name.
const MISLEADING: [&str; 8] = [
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGREQUIREPEER",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGTARGETSESSIONATTRS",
    "PGGSSENCMODE",
];

/// What is asked of the embedded server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DbRequest {
    /// Start it, unless it runs.
    Start,
    /// Stop it; its data stay.
    Stop,
    /// Say how it stands.
    Status,
    /// Its URL, with the password.
    Url,
    /// Delete it with all its data.
    Destroy {
        /// The user agrees.
        yes: bool,
    },
}

/// Does it.
///
/// # Errors
/// What the embedded server says: programs that are missing, the end of its log, data that would
/// be deleted without `yes`.
pub async fn run(request: &DbRequest) -> Result<Answer, CommandError> {
    run_on(&Embedded::locate(None)?, request).await
}

/// Does it to the embedded server of a given home.
///
/// # Errors
/// As [`run`].
pub async fn run_on(embedded: &Embedded, request: &DbRequest) -> Result<Answer, CommandError> {
    let mut answer = match request {
        DbRequest::Start => start(embedded).await?,
        DbRequest::Stop => stop(embedded).await?,
        DbRequest::Status => status(embedded).await?,
        DbRequest::Url => url(embedded).await?,
        DbRequest::Destroy { yes } => destroy(embedded, *yes).await?,
    };
    answer.messages.extend(elsewhere());
    Ok(answer)
}

/// psql on the embedded server, which is started first. Whoever runs it hands it the terminal.
///
/// # Errors
/// When the server does not start or psql is not installed.
pub async fn psql(arguments: &[String]) -> Result<Command, CommandError> {
    let embedded = Embedded::locate(None)?;
    embedded.start().await?;
    let mut command = embedded.psql_command()?;
    for name in MISLEADING {
        command.env_remove(name);
    }
    command.args(arguments);
    Ok(command)
}

/// What to say when other commands use another server than this one.
fn elsewhere() -> Option<String> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let what = if set("DATABASE_URL") {
        "DATABASE_URL is"
    } else if Database::from_env().is_ok_and(|named| named.is_none()) {
        return None;
    } else {
        "PG* variables are"
    };
    Some(format!(
        "{what} set: the commands `db ...` mean the embedded server all the same, the others do not"
    ))
}

async fn start(embedded: &Embedded) -> Result<Answer, CommandError> {
    let before = embedded.status().await?;
    embedded.start().await?;
    let now = embedded.status().await?;
    let how = match before.running && before.pid == now.pid {
        true => "runs already",
        false => "is started",
    };
    let pid = now.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let mut answer = Answer::message(format!("the embedded server {how}{pid}: {}", now.url));
    answer.json = Some(state_json(&now));
    Ok(answer)
}

async fn stop(embedded: &Embedded) -> Result<Answer, CommandError> {
    let was_running = embedded.stop().await?;
    let mut answer = Answer::message(match was_running {
        true => "the embedded server is stopped; its data stay",
        false => "the embedded server was not running",
    });
    answer.json = Some(json!({ "was_running": was_running }));
    Ok(answer)
}

async fn status(embedded: &Embedded) -> Result<Answer, CommandError> {
    let state = embedded.status().await?;
    let mut answer = Answer::done();
    if !state.running {
        answer.messages.push(not_running(&state));
    }
    answer.grid = Some(state_grid(&state));
    answer.json = Some(state_json(&state));
    Ok(answer)
}

async fn url(embedded: &Embedded) -> Result<Answer, CommandError> {
    let mut answer = Answer { text: Some(embedded.url()?), ..Answer::done() };
    let state = embedded.status().await?;
    if !state.running {
        answer.messages.push(not_running(&state));
    }
    Ok(answer)
}

async fn destroy(embedded: &Embedded, yes: bool) -> Result<Answer, CommandError> {
    let destroyed = embedded.destroy(yes).await?;
    let mut answer = Answer::message(match destroyed {
        true => "the embedded server is deleted with all its data",
        false => "there is no embedded server",
    });
    answer.json = Some(json!({ "destroyed": destroyed }));
    Ok(answer)
}

fn not_running(state: &EmbeddedStatus) -> String {
    match (state.pid, &state.version) {
        (Some(pid), _) => format!(
            "the embedded server (process {pid}) lives but does not answer: see {}",
            state.log_path.display()
        ),
        (None, Some(_)) => {
            "the embedded server is not running: `tidegate db start` starts it".to_owned()
        }
        (None, None) => "there is no embedded server yet: `tidegate db start` makes one".to_owned(),
    }
}

fn state_word(state: &EmbeddedStatus) -> (&'static str, Style) {
    match (state.running, state.pid, &state.version) {
        (true, ..) => ("running", Style::Green),
        (false, Some(_), _) => ("does not answer", Style::Red),
        (false, None, Some(_)) => ("stopped", Style::Yellow),
        (false, None, None) => ("not made yet", Style::Dim),
    }
}

fn state_grid(state: &EmbeddedStatus) -> Grid {
    let mut grid = Grid::new(["Property", "Value"]);
    let (word, style) = state_word(state);
    let path = |path: &std::path::Path| Cell::from(path.display().to_string());
    grid.push(["state".into(), Cell::from(word).styled(style)]);
    grid.push(["process".into(), state.pid.map(|pid| Cell::shown(pid.to_string(), pid)).into()]);
    grid.push(["version".into(), state.version.clone().into()]);
    grid.push(["url".into(), state.url.as_str().into()]);
    grid.push(["data".into(), path(&state.data_dir)]);
    grid.push(["size".into(), Cell::shown(human::size(state.size_bytes), state.size_bytes)]);
    grid.push(["socket".into(), path(&state.socket_dir)]);
    grid.push(["log".into(), path(&state.log_path)]);
    grid
}

fn state_json(state: &EmbeddedStatus) -> serde_json::Value {
    json!({
        "running": state.running,
        "state": state_word(state).0,
        "pid": state.pid,
        "version": state.version,
        "url": state.url,
        "data_dir": state.data_dir,
        "socket_dir": state.socket_dir,
        "size_bytes": state.size_bytes,
        "log_path": state.log_path,
    })
}
