//! The server's settings against what a load wants. Pure: settings in, findings out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::db::{Connection, DbError, Doing as _};
use crate::report::human;

use super::super::finding::{Finding, Level};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Less WAL between checkpoints than this makes a load checkpoint all the time.
const WAL_SIZE_WANTED: u64 = 4 * GIB;
const CHECKPOINT_WANTED_S: u64 = 15 * 60;
/// The default, which is made for the smallest machines.
const BUFFERS_SMALL: u64 = 128 * MIB;
/// A batch is done long before this.
const STATEMENT_SHORT_MS: u64 = 60_000;
const STATEMENT_LONG_MS: u64 = 900_000;
/// Between two statements of a batch a writer may wait for the next rows to be encoded.
const IDLE_SHORT_MS: u64 = 30_000;

struct Setting {
    value: String,
    unit: Option<String>,
    source: String,
    pending_restart: bool,
}

/// The settings that a load depends on, by name.
pub(super) struct Settings(BTreeMap<String, Setting>);

impl Settings {
    fn get(&self, name: &str) -> Option<&Setting> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", |setting| &setting.value)
    }

    fn is_off(&self, name: &str) -> bool {
        self.text(name) == "off"
    }

    /// A size in bytes or a time in milliseconds; none of a setting that is not there.
    fn scaled(&self, name: &str) -> Option<u64> {
        let setting = self.get(name)?;
        let unit = match setting.unit.as_deref() {
            Some("B" | "ms") | None => 1,
            Some("kB") => 1 << 10,
            Some("8kB") => 8 << 10,
            Some("MB") => MIB,
            Some("s") => 1_000,
            Some("min") => 60_000,
            Some(_) => return None,
        };
        setting.value.parse::<u64>().ok()?.checked_mul(unit)
    }

    /// Where the data are, where this role may know it.
    pub(super) fn data_directory(&self) -> Option<PathBuf> {
        self.get("data_directory").map(|setting| PathBuf::from(&setting.value))
    }
}

pub(super) async fn read(db: &Connection) -> Result<Settings, DbError> {
    let sql = include_str!("../sql/doctor_settings.sql");
    let rows = db.query_typed(sql, &[]).await.doing("reading the settings")?;
    let pair = |row: &tokio_postgres::Row| {
        let setting = Setting {
            value: row.try_get("setting")?,
            unit: row.try_get("unit")?,
            source: row.try_get("source")?,
            pending_restart: row.try_get("pending_restart")?,
        };
        Ok((row.try_get("name")?, setting))
    };
    rows.iter().map(pair).collect::<Result<_, DbError>>().map(Settings)
}

/// Judges them. `memory_bytes`: of the server's machine, if that is known.
pub(super) fn check(settings: &Settings, memory_bytes: Option<u64>) -> Vec<Finding> {
    let mut findings = durability(settings);
    findings.push(wal_size(settings));
    findings.push(checkpoints(settings));
    findings.push(buffers(settings, memory_bytes));
    let archiving = match settings.text("archive_mode") {
        "off" => "no archiving",
        _ => "archived",
    };
    findings.push(Finding::ok("WAL", format!("{}, {archiving}", settings.text("wal_level"))));
    if settings.is_off("autovacuum") {
        findings.push(Finding::advise(
            Level::Warning,
            "autovacuum",
            "off",
            "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()",
            "after a load nobody gathers statistics, and queries take bad plans",
        ));
    }
    findings.extend(timeouts(settings));
    findings.extend(transactions(settings));
    findings.push(Finding::ok("time zone", settings.text("TimeZone")));
    findings.extend(restart(settings));
    findings
}

fn durability(settings: &Settings) -> Vec<Finding> {
    let on = |name| Finding::ok(name, settings.text(name));
    let off = |level, name: &'static str, why| {
        let change = format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()");
        Finding::advise(level, name, "off", change, why)
    };
    let judged = |level, name, why| match settings.is_off(name) {
        true => off(level, name, why),
        false => on(name),
    };
    vec![
        judged(Level::Fault, "fsync", "a crash of the machine can destroy the whole database"),
        judged(
            Level::Warning,
            "full_page_writes",
            "a crash can leave torn pages, unless the file system excludes them",
        ),
        judged(
            Level::Advice,
            "synchronous_commit",
            "loads do not depend on it, but other commits of these sessions can be lost in a crash",
        ),
    ]
}

fn wal_size(settings: &Settings) -> Finding {
    let check = "max_wal_size";
    let Some(bytes) = settings.scaled(check) else { return Finding::ok(check, "not known") };
    if bytes >= WAL_SIZE_WANTED {
        return Finding::ok(check, human::memory(bytes));
    }
    Finding::advise(
        Level::Advice,
        check,
        human::memory(bytes),
        "ALTER SYSTEM SET max_wal_size = '8GB'; SELECT pg_reload_conf() (if the disk has room)",
        "a load fills it in seconds, and each checkpoint makes it write whole pages again",
    )
}

fn checkpoints(settings: &Settings) -> Finding {
    let check = "checkpoint_timeout";
    let Some(ms) = settings.scaled(check) else { return Finding::ok(check, "not known") };
    let found = human::seconds(ms as f64 / 1e3);
    if ms >= CHECKPOINT_WANTED_S * 1_000 {
        return Finding::ok(check, found);
    }
    Finding::advise(
        Level::Advice,
        check,
        found,
        "ALTER SYSTEM SET checkpoint_timeout = '15min'; SELECT pg_reload_conf()",
        "fewer checkpoints, less WAL; recovery after a crash takes longer",
    )
}

fn buffers(settings: &Settings, memory_bytes: Option<u64>) -> Finding {
    let check = "shared_buffers";
    let Some(bytes) = settings.scaled(check) else { return Finding::ok(check, "not known") };
    let found = match memory_bytes {
        Some(memory) => format!("{} of {}", human::memory(bytes), human::memory(memory)),
        None => human::memory(bytes),
    };
    let set = |to: u64| {
        format!("ALTER SYSTEM SET shared_buffers = '{}MB', then restart the server", to / MIB)
    };
    match memory_bytes {
        Some(memory) if bytes > memory / 2 => Finding::advise(
            Level::Warning,
            check,
            found,
            set(memory / 4),
            "the rest of the memory is the file cache's and the sessions'",
        ),
        Some(memory) if bytes < memory / 8 && bytes < GIB => Finding::advise(
            Level::Advice,
            check,
            found,
            set((memory / 4).min(4 * GIB)),
            "indexes that do not fit are written to disk over and over",
        ),
        None if bytes <= BUFFERS_SMALL => Finding::advise(
            Level::Advice,
            check,
            found,
            "set it to a quarter of the server's memory, then restart the server",
            "it is at its default; indexes that do not fit are written to disk over and over",
        ),
        _ => Finding::ok(check, found),
    }
}

/// Time limits that would end a load's statements or sessions.
fn timeouts(settings: &Settings) -> Vec<Finding> {
    let judge = |name: &'static str, warning_ms: u64, advice_ms: u64, why| {
        let ms = settings.scaled(name).filter(|&ms| ms > 0)?;
        let source = settings.get(name).map_or("", |setting| setting.source.as_str());
        let found = format!("{} (set by: {source})", human::seconds(ms as f64 / 1e3));
        let level = match ms {
            ms if ms < warning_ms => Level::Warning,
            ms if ms < advice_ms => Level::Advice,
            _ => return Some(Finding::ok(name, found)),
        };
        let change = format!("ALTER ROLE the loading role SET {name} = 0");
        Some(Finding::advise(level, name, found, change, why))
    };
    let statement = "a batch that takes longer is ended and tried again, and again";
    let found: Vec<Finding> = [
        judge("statement_timeout", STATEMENT_SHORT_MS, STATEMENT_LONG_MS, statement),
        judge("transaction_timeout", STATEMENT_SHORT_MS, STATEMENT_LONG_MS, statement),
        judge(
            "idle_in_transaction_session_timeout",
            IDLE_SHORT_MS,
            2 * IDLE_SHORT_MS,
            "a writer that waits for rows within a batch loses its connection",
        ),
        judge(
            "idle_session_timeout",
            0,
            2 * IDLE_SHORT_MS,
            "a writer that waits for its next batch loses its connection and opens another",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    if found.is_empty() { vec![Finding::ok("timeouts", "none set")] } else { found }
}

fn transactions(settings: &Settings) -> [Finding; 2] {
    let (isolation, read_only) = ("default_transaction_isolation", "default_transaction_read_only");
    let source = settings.get(read_only).map_or("", |setting| setting.source.as_str());
    [
        Finding::ok(isolation, settings.text(isolation)),
        match settings.text(read_only) {
            "on" => Finding::advise(
                Level::Fault,
                read_only,
                format!("on (set by: {source})"),
                "ALTER ROLE or ALTER DATABASE ... RESET default_transaction_read_only, or take it \
                 out of postgresql.conf, wherever it is set",
                "the server refuses every write",
            ),
            value => Finding::ok(read_only, value),
        },
    ]
}

fn restart(settings: &Settings) -> Option<Finding> {
    let waiting: Vec<&str> = (settings.0.iter())
        .filter(|(_, setting)| setting.pending_restart)
        .map(|(name, _)| name.as_str())
        .collect();
    (!waiting.is_empty()).then(|| {
        Finding::advise(
            Level::Advice,
            "pending restart",
            waiting.join(", "),
            "restart the server when it suits",
            "what was set is not in force yet",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changes: &[(&str, &str, Option<&str>)]) -> Settings {
        let healthy = [
            ("fsync", "on", None),
            ("full_page_writes", "on", None),
            ("synchronous_commit", "on", None),
            ("max_wal_size", "8192", Some("MB")),
            ("checkpoint_timeout", "900", Some("s")),
            ("shared_buffers", "262144", Some("8kB")),
            ("statement_timeout", "0", Some("ms")),
            ("autovacuum", "on", None),
            ("default_transaction_read_only", "off", None),
            ("TimeZone", "UTC", None),
        ];
        let pair = |&(name, value, unit): &(&str, &str, Option<&str>)| {
            let setting = Setting {
                value: value.to_owned(),
                unit: unit.map(str::to_owned),
                source: "user".to_owned(),
                pending_restart: false,
            };
            (name.to_owned(), setting)
        };
        Settings(healthy.iter().chain(changes).map(pair).collect())
    }

    fn level(check_name: &str, changes: &[(&str, &str, Option<&str>)]) -> Option<Level> {
        let found = check(&settings(changes), Some(8 * GIB));
        found.iter().find(|finding| finding.check == check_name).map(|finding| finding.level)
    }

    #[test]
    fn healthy_settings_pass() {
        let found = check(&settings(&[]), Some(8 * GIB));
        let bad: Vec<_> = found.iter().filter(|f| f.level != Level::Ok).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    #[test]
    fn each_setting_is_judged() {
        let one = |name: &str, value: &str, unit| level(name, &[(name, value, unit)]);
        assert_eq!(one("fsync", "off", None), Some(Level::Fault));
        assert_eq!(one("full_page_writes", "off", None), Some(Level::Warning));
        assert_eq!(one("synchronous_commit", "off", None), Some(Level::Advice));
        assert_eq!(one("synchronous_commit", "remote_apply", None), Some(Level::Ok));
        assert_eq!(one("max_wal_size", "1024", Some("MB")), Some(Level::Advice));
        assert_eq!(one("checkpoint_timeout", "300", Some("s")), Some(Level::Advice));
        assert_eq!(one("shared_buffers", "16384", Some("8kB")), Some(Level::Advice));
        assert_eq!(one("shared_buffers", "786432", Some("8kB")), Some(Level::Warning));
        assert_eq!(one("autovacuum", "off", None), Some(Level::Warning));
        assert_eq!(one("statement_timeout", "30000", Some("ms")), Some(Level::Warning));
        assert_eq!(one("statement_timeout", "120000", Some("ms")), Some(Level::Advice));
        assert_eq!(one("statement_timeout", "3600000", Some("ms")), Some(Level::Ok));
        assert_eq!(one("idle_session_timeout", "1000", Some("ms")), Some(Level::Advice));
        assert_eq!(one("default_transaction_read_only", "on", None), Some(Level::Fault));
    }

    #[test]
    fn memory_of_another_machine_is_not_guessed() {
        let found = check(&settings(&[("shared_buffers", "16384", Some("8kB"))]), None);
        let buffers = found.iter().find(|f| f.check == "shared_buffers").unwrap();
        assert_eq!((buffers.level, buffers.found.as_str()), (Level::Advice, "128 MiB"));
    }
}
