//! `migrate`: applies, takes back and lists the migrations of the domains. It never waits for
//! another process that migrates, and drops no rows without `yes`.

use std::fmt::Write as _;

use crate::db::migration::{self, Applied, MIGRATIONS, Migration, MigrationStatus, State};
use crate::db::{Connection, DbError};
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};

use super::access::has_ledger;
use super::{Access, Answer, CommandError};

pub use crate::db::migration::Extent;

/// The domain of the ledger's own tables, which goes up first.
const LEDGER: &str = "ledger";

/// What is done with the migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Apply what is missing.
    Up,
    /// Take all of a domain back.
    Down,
    /// List them.
    Status,
}

/// What `migrate` is asked to do.
#[derive(Debug, Clone)]
pub struct MigrateRequest {
    /// Which database.
    pub access: Access,
    /// What to do.
    pub action: Action,
    /// One domain; without it, up and status mean the ledger and all domains.
    pub domain: Option<String>,
    /// What of it goes up.
    pub extent: Extent,
    /// Drop tables that have rows.
    pub yes: bool,
    /// Print the SQL instead of running it.
    pub dry_run: bool,
}

/// Does it.
///
/// # Errors
/// [`CommandError::Usage`] for an unknown domain; [`DbError::Locked`] while another process
/// migrates; [`CommandError::Refused`] and [`DbError::Migration`] for rows that would be lost and
/// files that were edited.
pub async fn run(request: &MigrateRequest) -> Result<Answer, CommandError> {
    let domains = domains(request)?;
    let (database, mut connection) = request.access.connect().await?;
    match (request.action, request.dry_run) {
        (Action::Status, _) => status(&connection, &domains).await,
        (Action::Up, true) => {
            let mut list = listed(&connection, &domains).await?;
            list.retain(|known| file_of(known).is_none_or(|file| file.is_in(request.extent)));
            Ok(up_sql(&list))
        }
        (Action::Down, true) => Ok(down_sql(&listed(&connection, &domains).await?)),
        (Action::Up, false) => {
            let applied =
                migration::up(&database, &mut connection, &domains, request.extent, false).await?;
            let message = match applied.len() {
                0 => "nothing to do: all migrations are applied".to_owned(),
                n => format!("{} applied", human::plural(n as u64, "migration")),
            };
            Ok(changed(&applied, "applied", message))
        }
        (Action::Down, false) => {
            let domain = domains[0];
            if domain == LEDGER && !request.yes {
                refuse_known_loads(&connection).await?;
            }
            let taken = migration::down(&mut connection, domain, request.yes).await?;
            let message = match taken.len() {
                0 => format!("nothing to do: domain {domain} is not applied"),
                n => format!("{} taken back", human::plural(n as u64, "migration")),
            };
            Ok(changed(&taken, "taken back", message))
        }
    }
}

/// The domains that are meant, the ledger first.
fn domains(request: &MigrateRequest) -> Result<Vec<&'static str>, CommandError> {
    let mut known = migration::domains();
    known.sort_by_key(|domain| *domain != LEDGER);
    let names = known.join(", ");
    let Some(wanted) = &request.domain else {
        return match request.action {
            Action::Up | Action::Status => Ok(known),
            Action::Down => Err(CommandError::Usage(format!(
                "which domain is to be taken back? give --domain with one of: {names}"
            ))),
        };
    };
    if !known.contains(&wanted.as_str()) {
        return Err(CommandError::Usage(format!("unknown domain {wanted:?}: there are {names}")));
    }
    // Functions of the domains use the ledger's.
    let with_ledger = request.action == Action::Up;
    known.retain(|domain| domain == wanted || (with_ledger && *domain == LEDGER));
    Ok(known)
}

/// Without the ledger the files that it knows would be loaded again.
async fn refuse_known_loads(connection: &Connection) -> Result<(), CommandError> {
    if !has_ledger(connection).await? {
        return Ok(());
    }
    let row = connection
        .query_typed_one(
            "SELECT count(*), count(*) FILTER (WHERE sealed_at IS NULL) FROM tidegate.load",
            &[],
        )
        .await?;
    let (loads, unsealed): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if loads == 0 {
        return Ok(());
    }
    Err(CommandError::Refused(format!(
        "the ledger knows {} ({unsealed} not finished): without it their files count as never \
         loaded, and what was rejected is forgotten; give --yes to drop it all the same",
        human::plural(loads.unsigned_abs(), "load"),
    )))
}

async fn listed(
    connection: &Connection,
    domains: &[&str],
) -> Result<Vec<MigrationStatus>, DbError> {
    let mut list = migration::status(connection).await?;
    list.retain(|known| domains.contains(&known.domain.as_str()));
    let place = |known: &MigrationStatus| domains.iter().position(|d| *d == known.domain);
    list.sort_by_key(|known| (place(known), known.version));
    Ok(list)
}

async fn status(connection: &Connection, domains: &[&str]) -> Result<Answer, CommandError> {
    let list = listed(connection, domains).await?;
    let mut grid = Grid::new(["Domain", "Version", "Name", "State", "Applied at"]).right(&[1]);
    let mut answer = Answer::done();
    let mut pending = 0;
    for known in list {
        let title = format!("{}/{:04}_{}", known.domain, known.version, known.name);
        let (word, style, at) = match known.state {
            State::Pending => ("pending", Style::Yellow, None),
            State::Applied(at) => ("applied", Style::Green, Some(at)),
            State::Changed(at) => ("changed", Style::Red, Some(at)),
            State::Unknown(at) => ("unknown", Style::Red, Some(at)),
        };
        match word {
            "pending" => pending += 1,
            "changed" => answer.messages.push(format!(
                "{title} was edited since it was applied: take the change back, or make it a new \
                 migration"
            )),
            "unknown" => answer
                .messages
                .push(format!("{title} was applied by a newer program: update this one")),
            _ => {}
        }
        let version = Cell::shown(format!("{:04}", known.version), known.version);
        grid.push([
            known.domain.into(),
            version,
            known.name.into(),
            Cell::from(word).styled(style),
            at.into(),
        ]);
    }
    if pending > 0 {
        answer.messages.push(format!(
            "{} pending: `tidegate migrate up` applies them",
            human::plural(pending, "migration")
        ));
    }
    answer.json = Some(grid.to_json());
    answer.grid = Some(grid);
    Ok(answer)
}

/// What was done, migration by migration.
fn changed(migrations: &[Applied], word: &str, message: String) -> Answer {
    let mut grid = Grid::new(["Domain", "Version", "Name", "State"]).right(&[1]);
    for Applied { domain, version, name } in migrations {
        grid.push([
            domain.as_str().into(),
            Cell::shown(format!("{version:04}"), *version),
            name.as_str().into(),
            word.into(),
        ]);
    }
    let mut answer = Answer::message(message);
    answer.json = Some(grid.to_json());
    answer.grid = (!grid.is_empty()).then_some(grid);
    answer
}

/// The file behind a listed migration; none for those of a newer program.
fn file_of(known: &MigrationStatus) -> Option<&'static Migration> {
    (MIGRATIONS.iter()).find(|m| m.domain == known.domain && m.version == known.version)
}

fn up_sql(list: &[MigrationStatus]) -> Answer {
    let pending = list.iter().filter(|known| known.state == State::Pending);
    let pending: Vec<&Migration> = pending.filter_map(file_of).collect();
    if pending.is_empty() {
        return Answer::message("nothing to do: all migrations are applied");
    }
    let mut answer = Answer::message(
        "dry run: nothing was changed; `migrate up` also records each migration in \
         tidegate.migration",
    );
    answer.text = Some(script(&pending, |migration| migration.up));
    answer
}

fn down_sql(list: &[MigrationStatus]) -> Answer {
    let applied = list.iter().rev().filter(|known| known.state != State::Pending);
    let applied: Vec<&Migration> = applied.filter_map(file_of).collect();
    if applied.is_empty() {
        return Answer::message("nothing to do: the domain is not applied");
    }
    let mut answer = Answer::message(
        "dry run: nothing was changed; `migrate down` also deletes the ledger's rows of the \
         tables that go",
    );
    answer.text = Some(script(&applied, |migration| migration.down));
    answer
}

/// SQL that psql takes, each migration in a transaction of its own.
fn script(migrations: &[&Migration], side: impl Fn(&Migration) -> &'static str) -> String {
    let mut sql = String::new();
    for migration in migrations {
        let Migration { domain, version, name, .. } = migration;
        let _ = writeln!(sql, "-- {domain}/{version:04}_{name}\nBEGIN;");
        sql.push_str(side(migration).trim_end());
        sql.push_str("\nCOMMIT;\n");
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(action: Action, domain: Option<&str>) -> MigrateRequest {
        MigrateRequest {
            access: Access::default(),
            action,
            domain: domain.map(str::to_owned),
            extent: Extent::All,
            yes: false,
            dry_run: false,
        }
    }

    #[test]
    fn the_ledger_goes_first() {
        let all = domains(&request(Action::Up, None)).unwrap();
        assert_eq!(all[0], LEDGER);
        assert_eq!(all.len(), migration::domains().len());
        assert_eq!(domains(&request(Action::Down, Some("market"))).unwrap(), ["market"]);
    }

    #[test]
    fn domains_that_make_no_sense_are_usage_errors() {
        for wrong in [request(Action::Up, Some("markets")), request(Action::Down, None)] {
            let error = domains(&wrong).unwrap_err();
            let CommandError::Usage(text) = &error else { panic!("{error}") };
            assert!(text.contains(": ledger, ") || text.contains("are ledger, "), "{text}");
            assert!(text.contains(", market"), "{text}");
        }
    }

    #[test]
    fn a_dry_run_shows_what_is_missing_and_nothing_else() {
        let list = |state: State| {
            let known = |m: &Migration| MigrationStatus {
                domain: m.domain.to_owned(),
                version: m.version,
                name: m.name.to_owned(),
                state: state.clone(),
            };
            MIGRATIONS.iter().map(known).collect::<Vec<_>>()
        };
        let (pending, applied) = (list(State::Pending), list(State::Applied(String::new())));
        let up = up_sql(&pending).text.unwrap();
        assert!(up.contains("-- ledger/0001_ledger\nBEGIN;\n"), "{up}");
        assert!(up.contains("CREATE TABLE IF NOT EXISTS tidegate.run"), "{up}");
        assert_eq!(up_sql(&applied).text, None);
        assert_eq!(down_sql(&pending).text, None);
        assert!(down_sql(&applied).text.unwrap().contains("DROP TABLE"));
    }
}
