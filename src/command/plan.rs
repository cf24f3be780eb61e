//! The planner: every source with its layout, target, strategy and state in the ledger. `plan`
//! shows it, `backfill` carries it out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::column::TargetTable;
use crate::dataset::{self, Dataset};
use crate::db::ledger::{self, ContentKey, Load, NewLoad};
use crate::db::{Connection, catalog};
use crate::mapping::FieldSource;
use crate::report::human;
use crate::span::SpanUnit;
use crate::write::Strategy;

use super::access::has_ledger;
use super::map::{Route, Wishes, route};
use super::memo::{self, Spared};
use super::plan_show as show;
use super::survey::{self, Source, Survey};
use super::to_be_made::{child_to_be_made, to_be_made};
use super::{Answer, CommandError, LoadRequest, scatter};

/// How batches of text are cut; stored with a load, so that a resume never cuts otherwise.
const CUT_TEXT: &str = "text-4MiB-1";
/// How batches of JSON are cut.
const CUT_JSON: &str = "json-4MiB-1";
/// How batches of Parquet are cut.
const CUT_PARQUET: &str = "parquet-65536-1";

/// How a source stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not seen before, or opened again.
    New,
    /// Begun and not finished.
    Resumable { portions_done: usize },
    /// Loaded before.
    Done,
    /// It cannot be loaded as asked; why.
    Blocked(String),
}

/// A source that is planned.
#[derive(Debug)]
pub(super) struct Planned {
    pub source: Source,
    pub route: Route,
    pub content: ContentKey,
    pub found: Option<Load>,
    pub standing: Standing,
    pub reload: bool,
    /// The group with which it is scattered, if it is.
    pub scatter: Option<usize>,
}

/// Everything that is planned.
#[derive(Debug)]
pub(super) struct Planning {
    pub loads: Vec<Planned>,
    pub ignored: Vec<(String, String)>,
    pub failed: Vec<(String, String)>,
    pub messages: Vec<String>,
}

/// `plan`: shows what `backfill` would do and writes nothing.
///
/// # Errors
/// When the sources or the database cannot be looked at.
pub async fn run(request: &LoadRequest, units: bool) -> Result<Answer, CommandError> {
    let mut inputs = survey::find(request)?;
    // Units are numbered over all files, those that are done among them.
    let spared = match units {
        true => Spared::default(),
        false => memo::spare(request, &request.access, &mut inputs.found).await?,
    };
    let survey = survey::look(request, &inputs.found, &inputs.spooler)?;
    let (database, connection) = request.access.connect().await?;
    let planning = plan(request, survey, &connection).await?;
    show::answer(request, (&database, &connection), (&planning, &spared), units).await
}

impl Planning {
    /// The loads that have something to load.
    pub(super) fn open(&self) -> impl Iterator<Item = &Planned> {
        let open = |planned: &&Planned| {
            matches!(planned.standing, Standing::New | Standing::Resumable { .. })
        };
        self.loads.iter().filter(open)
    }
}

/// Plans the surveyed sources against a database, reading only.
pub(super) async fn plan(
    request: &LoadRequest,
    survey: Survey,
    connection: &Connection,
) -> Result<Planning, CommandError> {
    let mut known_tables = Tables { request, connection, known: HashMap::new() };
    let ledger_exists = has_ledger(connection).await?;
    let mut planning = Planning {
        loads: Vec::new(),
        ignored: survey.ignored,
        failed: survey.failed,
        messages: Vec::new(),
    };
    for source in survey.sources {
        let dataset = dataset_of(&source.recognised.dataset)?;
        let tables = known_tables.of(dataset).await?;
        let wishes = Wishes {
            policy: request.on_conflict.unwrap_or(dataset.on_conflict),
            strategy: request.strategy,
            window: request.window,
            own_table: request.table.is_none(),
            no_check: &request.no_check,
        };
        let mut route = match route(&source.recognised, dataset, &tables, wishes) {
            Ok(route) => route,
            Err(error) => {
                planning.failed.push((source.name.to_string(), error.to_string()));
                continue;
            }
        };
        if route.unused.iter().any(|column| column == "ts_nanos") {
            planning.messages.push(format!(
                "{}: nanoseconds are cut off: {} has no column ts_nanos",
                source.name,
                tables[0].display_name()
            ));
        }
        let content = content_key(&source, &route, dataset, request.facts.venue.as_ref());
        if let Some(identity) = &mut route.identity {
            identity.number = content.number();
        }
        let found = match ledger_exists {
            true => ledger::find_load(connection, &content, request.window).await?,
            false => None,
        };
        let mut planned = Planned {
            source,
            route,
            content,
            found,
            standing: Standing::New,
            reload: request.reload,
            scatter: None,
        };
        planned.standing = standing(&planned, connection, ledger_exists).await?;
        planning.loads.push(planned);
    }
    drop_repeats(&mut planning);
    block_torn_sets(&mut planning, connection).await?;
    scatter::choose(&mut planning, request.strategy);
    scatter::explain(&mut planning, connection, request.strategy).await?;
    Ok(planning)
}

fn dataset_of(name: &str) -> Result<&'static Dataset, CommandError> {
    dataset::by_name(name).ok_or_else(|| {
        CommandError::Refused(format!("the dataset {name} is not part of this version"))
    })
}

/// The same content twice in one run is one load.
fn drop_repeats(planning: &mut Planning) {
    let mut seen: HashMap<[u8; 32], Arc<str>> = HashMap::new();
    let messages = &mut planning.messages;
    planning.loads.retain(|planned| {
        let name = Arc::clone(&planned.source.name);
        match seen.insert(planned.content.identity(), Arc::clone(&name)) {
            None => true,
            Some(first) => {
                let message = format!("{name} has the same content as {first}: loaded once");
                if !messages.contains(&message) {
                    messages.push(message);
                }
                seen.insert(planned.content.identity(), first);
                false
            }
        }
    });
}

/// Blocks loads that were begun together with others that are not named now: the rows of all of
/// them are sorted together.
async fn block_torn_sets(
    planning: &mut Planning,
    connection: &Connection,
) -> Result<(), CommandError> {
    let scattered = |planned: &Planned| {
        let found = planned.found.as_ref().filter(|found| found.scattered)?;
        matches!(planned.standing, Standing::Resumable { .. }).then_some((found.set_id, found.id))
    };
    let named: BTreeSet<(i64, i64)> = planning.loads.iter().filter_map(scattered).collect();
    let sets: BTreeSet<i64> = named.iter().map(|&(set, _)| set).collect();
    for set in sets {
        let members = ledger::members(connection, set).await?;
        let missing =
            members.iter().find(|member| !member.sealed && !named.contains(&(set, member.load_id)));
        let Some(missing) = missing else { continue };
        let why = format!(
            "it was begun together with {}, which is not among the sources now: name all of them, \
             or begin again with --reload",
            missing.source
        );
        for planned in &mut planning.loads {
            if scattered(planned).is_some_and(|(of, _)| of == set) {
                planned.standing = Standing::Blocked(why.clone());
            }
        }
    }
    Ok(())
}

/// Target tables, looked up once: for each dataset the root first.
struct Tables<'a> {
    request: &'a LoadRequest,
    connection: &'a Connection,
    known: HashMap<&'static str, Vec<TargetTable>>,
}

impl Tables<'_> {
    async fn of(&mut self, dataset: &'static Dataset) -> Result<Vec<TargetTable>, CommandError> {
        if let Some(tables) = self.known.get(dataset.name) {
            return Ok(tables.clone());
        }
        let table = match &self.request.table {
            Some(name) => {
                let (schema, table) = catalog::parse_table_name(name)?;
                catalog::load_table(self.connection, schema.as_deref(), &table).await?.ok_or_else(
                    || {
                        CommandError::Refused(format!(
                            "there is no table {name}; create it, or leave --table out to load \
                             into {}",
                            dataset.table
                        ))
                    },
                )?
            }
            None => {
                let own = dataset.table;
                let found =
                    catalog::load_table(self.connection, Some(own.schema), own.name).await?;
                found.unwrap_or_else(|| to_be_made(dataset))
            }
        };
        let mut tables = vec![table];
        for child in dataset.children {
            let own = child.table;
            let found = catalog::load_table(self.connection, Some(own.schema), own.name).await?;
            tables.push(found.unwrap_or_else(|| child_to_be_made(child)));
        }
        self.known.insert(dataset.name, tables.clone());
        Ok(tables)
    }
}

fn content_key(
    source: &Source,
    route: &Route,
    dataset: &Dataset,
    venue: Option<&String>,
) -> ContentKey {
    let mut facts = BTreeMap::new();
    let filled = dataset.position.map(|position| [position.id, position.content, position.row]);
    let is_filled = |name: &str| filled.is_some_and(|filled| filled.contains(&name));
    for column in route.mapping.columns.iter().filter(|column| !is_filled(&column.name)) {
        if let FieldSource::Constant(value) = &column.source {
            facts.insert(column.name.clone(), value.clone());
        }
    }
    facts.insert("zone".to_owned(), source.recognised.facts.zone.clone());
    if let Some(date) = &source.recognised.facts.date {
        facts.insert("date".to_owned(), date.clone());
    }
    // A venue that a layout reads from a file's name is not identity: a file that was renamed is
    // still the same content.
    if let (Some(_), Some(venue)) = (&route.tickers, venue) {
        facts.insert("venue".to_owned(), venue.clone());
    }
    ContentKey {
        hash: source.fingerprint.hash,
        bytes: source.fingerprint.bytes,
        target: route.target.root().table.display_name(),
        dataset: dataset.name.to_owned(),
        facts,
    }
}

pub(super) fn cut_rule(source: &Source) -> &'static str {
    match (&source.recognised.shape, &source.recognised.json) {
        (Some(_), _) => CUT_TEXT,
        (None, Some(_)) => CUT_JSON,
        (None, None) => CUT_PARQUET,
    }
}

async fn standing(
    planned: &Planned,
    connection: &Connection,
    ledger_exists: bool,
) -> Result<Standing, CommandError> {
    let table = &planned.route.target.root().table;
    let keyless = planned.route.target.key.is_empty();
    let Some(found) = &planned.found else {
        if keyless && ledger_exists && ledger::knows_content(connection, &planned.content).await? {
            return Ok(Standing::Blocked(format!(
                "{} has no unique key, and this content was loaded with other --from/--to: rows \
                 would be loaded twice; give the table a key",
                table.display_name()
            )));
        }
        return Ok(Standing::New);
    };
    if planned.reload && keyless {
        return Ok(Standing::Blocked(format!(
            "{} has no unique key: --reload would load rows twice; give the table a key",
            table.display_name()
        )));
    }
    if planned.reload && !found.is_reload_under_way(table.oid) {
        return Ok(Standing::New);
    }
    if found.target_oid != table.oid {
        return Ok(Standing::Blocked(format!(
            "{} was dropped and made again since this content was loaded into it: load it again \
             with --reload",
            table.display_name()
        )));
    }
    if found.sealed {
        if found.inserted > 0
            && catalog::table_is_empty(connection, table).await?
            && !ledger::retention_took(connection, &table.display_name()).await?
        {
            return Ok(Standing::Blocked(format!(
                "{} is empty, but the ledger has {} rows of this content in it: the table was \
                 truncated; load it again with --reload",
                table.display_name(),
                human::count(found.inserted)
            )));
        }
        return Ok(Standing::Done);
    }
    if let Some(why) = other_rules(planned, found) {
        return Ok(Standing::Blocked(why));
    }
    let portions_done = match found.scattered {
        true => ledger::windows(connection, found.set_id).await?.len(),
        false => ledger::done_portions(connection, found.set_id).await?.len(),
    };
    Ok(Standing::Resumable { portions_done })
}

/// Why an unfinished load cannot go on under the rules of this run.
fn other_rules(planned: &Planned, found: &Load) -> Option<String> {
    let recognised = &planned.source.recognised;
    let layout = (recognised.layout.clone(), recognised.version);
    let policy = planned.route.target.policy.name();
    if found.layout != layout {
        let (name, version) = &found.layout;
        return Some(format!(
            "it was begun under layout {name} version {version}, not {} version {}: finish it \
             with --layout {name}, or begin again with --reload",
            layout.0, layout.1
        ));
    }
    if found.on_conflict != policy {
        return Some(format!(
            "it was begun with --on-conflict {}, not {policy}: finish it so, or begin again with \
             --reload",
            found.on_conflict
        ));
    }
    (found.cut_rule != cut_rule(&planned.source)).then(|| {
        "it was begun by another version of tidegate: begin again with --reload".to_owned()
    })
}

impl Planned {
    /// The load as the ledger is told of it.
    pub(super) fn new_load(&self, request: &LoadRequest, replay: serde_json::Value) -> NewLoad {
        let (span_unit, span_end) = match self.source.rows {
            Some(rows) => (SpanUnit::Row, rows),
            None => (SpanUnit::Byte, self.source.fingerprint.bytes),
        };
        NewLoad {
            content: self.content.clone(),
            target_oid: self.route.target.root().table.oid,
            window: request.window,
            source: self.source.name.to_string(),
            layout: (self.source.recognised.layout.clone(), self.source.recognised.version),
            replay,
            on_conflict: self.route.target.policy.name().to_owned(),
            cut_rule: cut_rule(&self.source).to_owned(),
            span_unit,
            span_end,
            reload: self.reload,
            set: None,
        }
    }

    /// Whether its rows are sorted into the target's order first.
    pub(super) fn is_scattered(&self) -> bool {
        let resumed = matches!(self.standing, Standing::Resumable { .. });
        self.scatter.is_some()
            || resumed && self.found.as_ref().is_some_and(|found| found.scattered)
    }

    /// How its rows enter the table.
    pub(super) fn strategy(&self) -> Strategy {
        if self.is_scattered() { Strategy::Exchange } else { self.route.target.strategy }
    }
}
