//! The files that `verify data` is given: each content is known by its hash, and the ledger says
//! which loads it became. No flag of the load is needed again, for the ledger has its recipe.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::Type;

use crate::db::{Connection, DbError};
use crate::layout::{GivenFacts, Sample, SampleHead, recognise, registry};
use crate::limit::RETRY_DEADLINE_S;
use crate::mapping::is_columnar;
use crate::report::human;
use crate::source::{
    self, Content, Fingerprint, Location, Remotes, Seen, SourceError, Spool, Spooler, Visitor,
    Want, look_into,
};

use super::super::super::CommandError;
use super::super::super::finding::{Finding, Level};
use super::super::super::recall;
use super::super::super::recipe::Recipe;
use super::super::super::survey::is_record;
use super::compare::{self, Subject};
use super::fault;

/// Files of a kind that are named one by one.
const NAMED_MAX: usize = 10;

/// A content of the files.
#[derive(Debug)]
struct Source {
    name: Arc<str>,
    location: Location,
    fingerprint: Fingerprint,
    /// Why it is no market data, if it looks like none.
    strange: Option<String>,
    /// Keeps the temporary file that holds it.
    spool: Option<Spool>,
}

/// What the files hold.
#[derive(Debug, Default)]
struct Gathered {
    sources: Vec<Source>,
    /// What cannot be read, with why.
    failed: Vec<(String, String)>,
    spool: Option<Spool>,
}

impl Visitor for Gathered {
    /// Why it is no market data.
    type Known = Option<String>;

    fn look(&mut self, seen: &Seen<'_>) -> Want<Option<String>> {
        if seen.head.is_empty() {
            return Want::No;
        }
        if is_columnar(seen.head) {
            return Want::This(None);
        }
        let head = SampleHead::Text { bytes: seen.head, whole: seen.whole };
        let sample = Sample { name: seen.path_name, head };
        let layouts = registry().unwrap_or_default();
        match recognise(&sample, &GivenFacts::default(), layouts, None) {
            Ok(recognised) if seen.in_tar && is_record(&recognised, seen) => Want::Archive(None),
            Ok(_) => Want::This(None),
            Err(why) => Want::This(why.no_market_data().then(|| why.to_string())),
        }
    }

    fn take(&mut self, strange: Option<String>, content: Content) {
        self.sources.push(Source {
            name: content.name.into(),
            location: content.location,
            fingerprint: content.fingerprint,
            strange,
            spool: content.spool.or_else(|| self.spool.clone()),
        });
    }

    fn ignored(&mut self, _name: String, _why: String) {}

    fn failed(&mut self, name: String, why: String) {
        self.failed.push((name, why));
    }
}

fn gather(paths: &[String]) -> Result<Gathered, CommandError> {
    let spooler = Spooler::default();
    let remotes = Remotes::new(Duration::from_secs(RETRY_DEADLINE_S));
    let mut gathered = Gathered::default();
    for file in source::find(paths, &remotes, &spooler)? {
        gathered.spool = file.spool.clone();
        match look_into(&file.location, &file.name, &spooler, &mut gathered) {
            Ok(()) => {}
            Err(error @ (SourceError::Io { .. } | SourceError::Remote { .. })) if file.named => {
                return Err(error.into());
            }
            Err(error) => gathered.failed.push((file.name.clone(), error.to_string())),
        }
    }
    Ok(gathered)
}

/// Compares every record of the files with the row that it became.
pub(super) async fn check(db: &Connection, paths: &[String]) -> Result<Vec<Finding>, CommandError> {
    let gathered = gather(paths)?;
    let mut findings = of_unread(&gathered.failed);
    let (mut subjects, mut unknown) = (Vec::new(), Vec::new());
    for source in &gathered.sources {
        let found = subjects_of(db, source, &mut findings).await?;
        if found.is_empty() && source.strange.is_none() {
            unknown.push(source.name.to_string());
        }
        subjects.extend(found);
    }
    if let Some(first) = unknown.first() {
        let found = match unknown.len() {
            1 => format!("{first} is not in the ledger"),
            more => format!(
                "{} are not in the ledger, the first {first}",
                human::plural(more as u64, "file")
            ),
        };
        findings.push(fault(
            "file",
            found,
            "load it with backfill",
            "its content, by hash, was never loaded into this database",
        ));
    }
    let spools: Vec<Option<Spool>> =
        gathered.sources.into_iter().map(|source| source.spool).collect();
    findings.extend(compare::check(db, subjects).await?);
    drop(spools);
    Ok(findings)
}

fn of_unread(failed: &[(String, String)]) -> Vec<Finding> {
    let finding = |(name, why): &(String, String)| {
        Finding::advise(
            Level::Warning,
            "file",
            format!("{name} cannot be read: {why}"),
            "get it again and load it",
            "a file that cannot be read to its end is not loaded, and not compared",
        )
    };
    let mut findings: Vec<Finding> = failed.iter().take(NAMED_MAX).map(finding).collect();
    if failed.len() > NAMED_MAX {
        let more = human::plural((failed.len() - NAMED_MAX) as u64, "more file");
        findings.push(Finding::advise(
            Level::Warning,
            "file",
            format!("{more} cannot be read"),
            "get them again and load them",
            "as above",
        ));
    }
    findings
}

/// The loads that a content became, the last of each target and window.
async fn subjects_of(
    db: &Connection,
    source: &Source,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Subject>, CommandError> {
    let sql = include_str!("../../../../schema/query/verify/loads_of.sql");
    let hash = source.fingerprint.hash.to_vec();
    let rows = db.query_typed(sql, &[(&hash, Type::BYTEA)]).await.map_err(DbError::from)?;
    let mut subjects = Vec::new();
    for row in &rows {
        let (load_id, target): (i64, String) = (row.get("id"), row.get("target"));
        if !row.get::<_, bool>("sealed") {
            // The ledger's part names it.
            continue;
        }
        let recipe = Recipe::from_json(&row.get("replay"))?;
        let policy = recall::policy(row.get("on_conflict"))?;
        let tables = match recall::tables(db, &recipe, &source.name).await {
            Ok(tables) => tables,
            Err(CommandError::Refused(_)) => continue,
            Err(error) => return Err(error),
        };
        let (checker, aim) = recall::recall(&recipe, (&tables.0, &tables.1), policy)?;
        if aim.key.is_empty() {
            findings.push(Finding::advise(
                Level::Warning,
                "content",
                format!(
                    "{}: {target} has no unique key: its rows are counted, not compared",
                    source.name
                ),
                "give the table a primary key",
                "a row can be found again by its key alone",
            ));
            continue;
        }
        subjects.push(Subject {
            load_id,
            name: Arc::clone(&source.name),
            location: source.location.clone(),
            fingerprint: source.fingerprint.clone(),
            target_name: target,
            recipe,
            checker,
            target: Arc::new(aim),
        });
    }
    Ok(subjects)
}
