//! What the ledger says is left to do, and whether the tables that it speaks of are still there.

use crate::command::access::has_ledger;
use crate::db::migration::{self, MigrationStatus, State};
use crate::db::{Connection, DbError, Doing as _};
use crate::report::human;

use super::super::finding::{Finding, Level};

pub(super) async fn check(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let mut findings = vec![migrations(&migration::status(db).await?)];
    if !has_ledger(db).await? {
        findings.push(Finding::ok("ledger", "none yet: the first load makes it"));
        return Ok(findings);
    }
    let sql = include_str!("../sql/doctor_ledger.sql");
    let row = db.query_typed_one(sql, &[]).await.doing("reading the ledger")?;
    let (unsealed, rejects): (i64, i64) = (row.try_get("unsealed")?, row.try_get("open_rejects")?);
    findings.push(open(unsealed.unsigned_abs(), rejects.unsigned_abs()));
    findings.extend(targets(db).await?);
    Ok(findings)
}

fn migrations(list: &[MigrationStatus]) -> Finding {
    let check = "migrations";
    let titles = |wanted: &dyn Fn(&MigrationStatus) -> bool| {
        let found = list.iter().filter(|known| wanted(known));
        let title = |known: &MigrationStatus| {
            format!("{}/{:04}_{}", known.domain, known.version, known.name)
        };
        found.map(title).collect::<Vec<_>>().join(", ")
    };
    let unknown = titles(&|known| matches!(known.state, State::Unknown(_)));
    if !unknown.is_empty() {
        return Finding::advise(
            Level::Fault,
            check,
            format!("made by a newer program: {unknown}"),
            "update this program",
            "it does not know the tables as they are now",
        );
    }
    let changed = titles(&|known| matches!(known.state, State::Changed(_)));
    if !changed.is_empty() {
        return Finding::advise(
            Level::Warning,
            check,
            format!("edited since they were applied: {changed}"),
            "use the program that applied them, or take the domain back and up again",
            "nothing more is applied to a domain whose history differs",
        );
    }
    // A domain that nobody uses is not behind.
    let used = |known: &MigrationStatus| {
        (list.iter()).any(|other| other.domain == known.domain && other.state != State::Pending)
    };
    let behind = titles(&|known| known.state == State::Pending && used(known));
    if behind.is_empty() {
        let applied = titles(&|known| known.state != State::Pending);
        let found = if applied.is_empty() { "none applied yet" } else { applied.as_str() };
        return Finding::ok(check, found);
    }
    Finding::advise(
        Level::Advice,
        check,
        format!("pending: {behind}"),
        "tidegate migrate up",
        "loads do not change tables in a database that has others, and leave out what only queries \
         need",
    )
}

fn open(unsealed: u64, rejects: u64) -> Finding {
    let found = format!(
        "{} not finished, {}",
        human::plural(unsealed, "load"),
        human::plural(rejects, "open reject")
    );
    let change = match (unsealed, rejects) {
        (0, 0) => return Finding::ok("ledger", found),
        (0, _) => "tidegate rejects list, then mend and replay them",
        (_, 0) => "tidegate status says how to resume",
        _ => "tidegate status says how to resume; tidegate rejects list shows the rejects",
    };
    Finding::advise(Level::Advice, "ledger", found, change, "these records are not in their table")
}

async fn targets(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let sql = include_str!("../sql/doctor_targets.sql");
    let rows = db.query_typed(sql, &[]).await.doing("reading the ledger's targets")?;
    let mut findings = Vec::new();
    for row in &rows {
        let (target, stored): (&str, i64) = (row.try_get("target")?, row.try_get("stored")?);
        if stored <= 0 {
            continue;
        }
        let state = if !row.try_get::<_, bool>("there")? {
            "is gone"
        } else if row.try_get("may_read")? {
            let name: &str = row.try_get("sql_name")?;
            let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {name})");
            let row = db.query_typed_one(&sql, &[]).await.doing(format!("looking into {name}"))?;
            if !row.try_get::<_, bool>(0)? {
                continue;
            }
            "is empty"
        } else {
            continue;
        };
        findings.push(lost(target, state, stored.unsigned_abs()));
    }
    Ok(findings)
}

fn lost(target: &str, state: &str, stored: u64) -> Finding {
    Finding::advise(
        Level::Warning,
        "ledger",
        format!("{target} {state}, but the ledger has {} in it", human::plural(stored, "record")),
        "if the rows are missed, load their files again with --reload",
        "the table was dropped or emptied by other means, and its files still count as loaded",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(states: &[State]) -> Vec<MigrationStatus> {
        let known = |(at, state): (usize, &State)| MigrationStatus {
            domain: "d".to_owned(),
            version: at as i32 + 1,
            name: "n".to_owned(),
            state: state.clone(),
        };
        states.iter().enumerate().map(known).collect()
    }

    #[test]
    fn migrations_are_judged() {
        let at = String::new;
        let level = |states: &[State]| migrations(&list(states)).level;
        assert_eq!(level(&[State::Pending, State::Pending]), Level::Ok);
        assert_eq!(level(&[State::Applied(at()), State::Applied(at())]), Level::Ok);
        assert_eq!(level(&[State::Applied(at()), State::Pending]), Level::Advice);
        assert_eq!(level(&[State::Changed(at()), State::Pending]), Level::Warning);
        assert_eq!(level(&[State::Changed(at()), State::Unknown(at())]), Level::Fault);
        let found = migrations(&list(&[State::Applied(at()), State::Pending])).found;
        assert_eq!(found, "pending: d/0002_n");
        let mut other = list(&[State::Applied(at()), State::Pending]);
        other[1].domain = "unused".to_owned();
        assert_eq!(migrations(&other), Finding::ok("migrations", "d/0001_n"));
    }

    #[test]
    fn open_work_is_advice() {
        assert_eq!(open(0, 0).level, Level::Ok);
        assert_eq!(open(1, 0).found, "1 load not finished, 0 open rejects");
        assert_eq!(open(0, 2).level, Level::Advice);
    }
}
