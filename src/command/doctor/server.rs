//! What kind of server it is, and how much room it has for our connections.

use crate::db::{Connection, DbError, Doing as _};
use crate::db::{Edition, ServerInfo};
use crate::report::human;

use super::super::finding::{Finding, Level};

/// The oldest version that is supported.
const VERSION_MIN: i32 = 140_000;
/// A load with the default number of writers takes up to this many connections.
const CONNECTIONS_WANTED: i64 = 10;

/// What the server says of itself.
pub(super) struct Facts {
    /// It runs on this machine, as far as its address tells.
    pub local: bool,
    standby: bool,
    encoding: String,
    timescaledb_available: bool,
    room: Room,
    archiver_fails: bool,
    idle_slots: i64,
    idle_slot_names: Option<String>,
}

/// Connections: allowed, and in use.
struct Room {
    max: i64,
    reserved: i64,
    used: i64,
    used_database: i64,
    /// Less than 0: none.
    database_limit: i64,
    role_limit: i64,
}

impl Room {
    /// How many more this role may open.
    fn free(&self) -> i64 {
        let server = self.max - self.reserved - self.used;
        let database = match self.database_limit {
            limit if limit < 0 => i64::MAX,
            limit => limit - self.used_database,
        };
        let role = if self.role_limit < 0 { i64::MAX } else { self.role_limit };
        server.min(database).min(role).max(0)
    }
}

pub(super) async fn read(db: &Connection) -> Result<Facts, DbError> {
    let sql = include_str!("../sql/doctor_server.sql");
    let row = db.query_typed_one(sql, &[]).await.doing("asking the server about itself")?;
    Ok(Facts {
        local: row.try_get("local")?,
        standby: row.try_get("standby")?,
        encoding: row.try_get("encoding")?,
        timescaledb_available: row.try_get("timescaledb_available")?,
        room: Room {
            max: row.try_get("max_connections")?,
            reserved: row.try_get("reserved")?,
            used: row.try_get("used")?,
            used_database: row.try_get::<_, Option<i64>>("used_database")?.unwrap_or(0),
            database_limit: row.try_get::<_, Option<i64>>("database_limit")?.unwrap_or(-1),
            role_limit: row.try_get::<_, Option<i64>>("role_limit")?.unwrap_or(-1),
        },
        archiver_fails: row.try_get::<_, Option<bool>>("archiver_fails")?.unwrap_or(false),
        idle_slots: row.try_get("idle_slots")?,
        idle_slot_names: row.try_get("idle_slot_names")?,
    })
}

pub(super) async fn check(
    db: &Connection,
    facts: Result<Facts, DbError>,
) -> Result<Vec<Finding>, DbError> {
    let (info, facts) = (db.server().await?, facts?);
    let mut findings = vec![version(&info), timescaledb(&info, facts.timescaledb_available)];
    findings.push(match facts.standby {
        false => Finding::ok("role", "a primary"),
        true => Finding::advise(
            Level::Fault,
            "role",
            "a standby",
            "connect to the primary",
            "a standby takes no writes",
        ),
    });
    findings.push(encoding(&facts.encoding));
    findings.push(connections(&facts.room));
    if facts.archiver_fails {
        findings.push(Finding::advise(
            Level::Warning,
            "archiving",
            "the last attempt to archive WAL failed",
            "mend archive_command; see pg_stat_archiver and the server's log",
            "WAL is kept until it is archived, and a load fills the disk with it",
        ));
    }
    if facts.idle_slots > 0 {
        let names = facts.idle_slot_names.unwrap_or_default();
        findings.push(Finding::advise(
            Level::Warning,
            "replication slots",
            format!(
                "{} of no active consumer: {names}",
                human::plural(facts.idle_slots.unsigned_abs(), "slot")
            ),
            "start the consumer, or drop the slot with pg_drop_replication_slot",
            "a slot keeps all WAL since its consumer left, and a load writes much of it",
        ));
    }
    Ok(findings)
}

fn version(info: &ServerInfo) -> Finding {
    if info.version_num >= VERSION_MIN {
        return Finding::ok("version", format!("PostgreSQL {}", info.version));
    }
    Finding::advise(
        Level::Fault,
        "version",
        format!("PostgreSQL {}", info.version),
        "upgrade the server to 14 or newer",
        "older servers lack statements that loads need",
    )
}

fn timescaledb(info: &ServerInfo, available: bool) -> Finding {
    let check = "TimescaleDB";
    match (&info.timescaledb, available) {
        (Some(found), _) => {
            let edition = match found.edition {
                Edition::Apache => "Apache edition: hypertables, no compression or policies",
                Edition::Community => "Community edition",
            };
            Finding::ok(check, format!("{}, {edition}", found.version))
        }
        (None, true) => Finding::ok(check, "installed but not created here: plain tables"),
        (None, false) => Finding::ok(check, "not installed: plain tables"),
    }
}

fn encoding(encoding: &str) -> Finding {
    if encoding == "UTF8" {
        return Finding::ok("encoding", encoding);
    }
    Finding::advise(
        Level::Warning,
        "encoding",
        encoding,
        "make a database with ENCODING 'UTF8' TEMPLATE template0 and load into that",
        "text that this encoding does not have is rejected",
    )
}

fn connections(room: &Room) -> Finding {
    let free = room.free();
    let found = format!("{free} free, {} of {} in use", room.used, room.max);
    if free >= CONNECTIONS_WANTED {
        return Finding::ok("connections", found);
    }
    Finding::advise(
        Level::Warning,
        "connections",
        found,
        "raise max_connections (or the limit of the role or database), or load with --writers 1",
        "each writer takes a connection, and a few more are needed beside them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_limit_counts() {
        let room = |database_limit, role_limit| Room {
            max: 100,
            reserved: 3,
            used: 40,
            used_database: 20,
            database_limit,
            role_limit,
        };
        assert_eq!(room(-1, -1).free(), 57);
        assert_eq!(room(25, -1).free(), 5);
        assert_eq!(room(10, -1).free(), 0);
        assert_eq!(room(-1, 2).free(), 2);
        assert_eq!(connections(&room(-1, -1)).level, Level::Ok);
        assert_eq!(connections(&room(25, -1)).level, Level::Warning);
    }
}
