//! From a recognised layout and a target table to the resolved mapping: which field feeds which
//! column, as which type, by which rules.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::check::{Checker, Quality};
use crate::column::{PgType, TargetColumn, TargetTable};
use crate::dataset::{self, Column, ConflictPolicy, Dataset, Position};
use crate::db::ledger::TimeWindow;
use crate::layout::{Recognised, RecognisedField};
use crate::mapping::{FieldSource, MappedColumn, Mapping, TimeFormat, TimeRule, ValueKind, Zone};
use crate::pipeline::{Identity, Tickers};
use crate::write::{Meeting, Strategy, TableTarget, Target};

use super::CommandError;
use super::rules::{in_order, quality, rules};

/// A source's way into a table.
#[derive(Debug)]
pub(super) struct Route {
    pub mapping: Mapping,
    pub target: Arc<Target>,
    pub tickers: Option<Tickers>,
    /// How records without an id are known again. The content's number is filled in once the
    /// content is known.
    pub identity: Option<Identity>,
    pub checker: Checker,
    pub quality: Option<Quality>,
    pub makes_partitions: bool,
    /// The interval column of the dataset's own table, whose words are made canonical.
    pub interval_column: Option<usize>,
    /// Columns of the source that the table has no place for.
    pub unused: Vec<String>,
}

/// What the user decided about the route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes<'a> {
    pub policy: ConflictPolicy,
    pub strategy: Option<Strategy>,
    pub window: TimeWindow,
    /// The table is the dataset's own, not a user's.
    pub own_table: bool,
    /// Rules that are not applied, by name.
    pub no_check: &'a [String],
}

/// Resolves it all.
pub(super) fn route(
    recognised: &Recognised,
    dataset: &Dataset,
    tables: &[TargetTable],
    wishes: Wishes<'_>,
) -> Result<Route, CommandError> {
    let table = &tables[0];
    if !dataset.children.is_empty() && !wishes.own_table {
        let name = dataset.name;
        return Err(refuse(
            table,
            format!("cannot take {name}, which are rows of several tables: leave --table out"),
        ));
    }
    if table.unlogged {
        return Err(refuse(table, "is unlogged: after a crash the ledger would outlive its rows"));
    }
    let mut building =
        Building { table, columns: Vec::new(), targets: Vec::new(), tickers: None, identity: None };
    let mut unused = Vec::new();
    for field in &recognised.fields {
        let Some(column) = dataset.column(&field.column) else { continue };
        if !building.add(dataset, column, field, recognised)? {
            unused.push(field.column.clone());
        }
    }
    for (name, position) in &recognised.other_fields {
        if wishes.own_table || !building.add_other(name, *position, recognised)? {
            unused.push(name.clone());
        }
    }
    if wishes.own_table {
        building.add_defaults(dataset, recognised)?;
        if let Some(position) = dataset.position {
            building.add_identity(position)?;
        }
    }
    building.check_complete()?;
    building.finish(dataset, (&tables[1..], recognised), wishes, unused)
}

fn refuse(table: &TargetTable, why: impl std::fmt::Display) -> CommandError {
    CommandError::Refused(format!("{} {why}", table.display_name()))
}

struct Building<'a> {
    table: &'a TargetTable,
    columns: Vec<MappedColumn>,
    targets: Vec<TargetColumn>,
    tickers: Option<Tickers>,
    identity: Option<Identity>,
}

impl Building<'_> {
    /// The target's column for a dataset's column: by its name, else by an alias.
    fn target_of(&self, column: &Column) -> Option<&TargetColumn> {
        let by_name = |name: &str| {
            let same = |target: &&TargetColumn| target.name.to_lowercase() == name;
            self.table.columns.iter().find(same)
        };
        std::iter::once(column.name)
            .chain(column.aliases.iter().copied())
            .find_map(by_name)
            .filter(|target| !target.generated)
    }

    /// Adds a dataset's column. `false`: the table has no place for it.
    fn add(
        &mut self,
        dataset: &Dataset,
        column: &'static Column,
        field: &RecognisedField,
        recognised: &Recognised,
    ) -> Result<bool, CommandError> {
        let id_name = "ticker_id";
        let id = self.table.column(id_name).filter(|_| dataset.ticker == Some(column.name));
        let (target, kind) = match (self.target_of(column), id) {
            (Some(target), None) => (target.clone(), kind_for(column.kind, target, self.table)?),
            (_, Some(id)) => {
                self.tickers = Some(Tickers {
                    column: self.columns.len(),
                    id_name: id_name.to_owned(),
                    venue: recognised.facts.venue.clone().unwrap_or_default(),
                });
                (id.clone(), ValueKind::Word)
            }
            (None, None) => return Ok(false),
        };
        self.columns.push(MappedColumn {
            name: column.name.to_owned(),
            source: field.source.clone(),
            kind,
            rewrite: field.rewrite.clone(),
            time: field.time.clone(),
            required: column.required || (target.not_null && !target.has_default),
        });
        self.targets.push(target);
        Ok(true)
    }

    /// Adds the columns that have a value where the file has none.
    fn add_defaults(
        &mut self,
        dataset: &Dataset,
        recognised: &Recognised,
    ) -> Result<(), CommandError> {
        for column in dataset.columns {
            let Some(value) = column.default else { continue };
            if !self.columns.iter().any(|mapped| mapped.name == column.name) {
                let field = RecognisedField {
                    column: column.name.to_owned(),
                    source: FieldSource::Constant(value.to_owned()),
                    rewrite: None,
                    time: None,
                };
                self.add(dataset, column, &field, recognised)?;
            }
        }
        Ok(())
    }

    /// Adds the columns by which records without an id are known again.
    fn add_identity(&mut self, position: Position) -> Result<(), CommandError> {
        let id = match self.columns.iter().position(|column| column.name == position.id) {
            Some(id) => id,
            None => self.add_filled(position.id, ValueKind::Text, "")?,
        };
        let content = self.add_filled(position.content, ValueKind::Integer, "0")?;
        let row = self.add_filled(position.row, ValueKind::Integer, "0")?;
        self.identity = Some(Identity { id, content, row, number: 0 });
        Ok(())
    }

    /// Adds a column that the loader fills; gives its position.
    fn add_filled(
        &mut self,
        name: &str,
        kind: ValueKind,
        value: &str,
    ) -> Result<usize, CommandError> {
        let target = self.table.column(name).cloned();
        let target = target.ok_or_else(|| {
            refuse(self.table, format!("has no column {name}: apply its migrations again"))
        })?;
        self.columns.push(MappedColumn {
            name: name.to_owned(),
            source: FieldSource::Constant(value.to_owned()),
            kind,
            rewrite: None,
            time: None,
            required: false,
        });
        self.targets.push(target);
        Ok(self.columns.len() - 1)
    }

    /// Adds a field that no dataset knows to a user's column of the same name.
    fn add_other(
        &mut self,
        name: &str,
        position: usize,
        recognised: &Recognised,
    ) -> Result<bool, CommandError> {
        let lower = name.trim().to_lowercase();
        let same = |target: &&TargetColumn| target.name.to_lowercase() == lower;
        let Some(target) = self.table.columns.iter().find(same).filter(|t| !t.generated) else {
            return Ok(false);
        };
        if self.targets.iter().any(|taken| taken.name == target.name) {
            return Ok(false);
        }
        let Some(pg_type) = target.pg_type else {
            return Err(refuse(
                self.table,
                format!(
                    "has a column {} of type {}, which cannot be filled",
                    target.name, target.type_name
                ),
            ));
        };
        let kind = natural_kind(pg_type);
        let zone = Zone::parse(&recognised.facts.zone).unwrap_or(Zone::UTC);
        let time = matches!(kind, ValueKind::Time | ValueKind::Date)
            .then_some(TimeRule::new(TimeFormat::Auto, zone));
        self.columns.push(MappedColumn {
            name: target.name.clone(),
            source: FieldSource::Field(position),
            kind,
            rewrite: None,
            time,
            required: target.not_null && !target.has_default,
        });
        self.targets.push(target.clone());
        Ok(true)
    }

    /// Every column that the table insists on must have a source.
    fn check_complete(&self) -> Result<(), CommandError> {
        let missing: Vec<&str> = (self.table.columns.iter())
            .filter(|column| column.not_null && !column.has_default && !column.generated)
            .filter(|column| !self.targets.iter().any(|taken| taken.name == column.name))
            .map(|column| column.name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(refuse(
            self.table,
            format!(
                "needs {}, which neither the file nor a flag gives: use --symbol or --interval, \
                 rename the column, or give it a default",
                missing.join(", ")
            ),
        ))
    }

    fn finish(
        self,
        dataset: &Dataset,
        (children, recognised): (&[TargetTable], &Recognised),
        wishes: Wishes<'_>,
        unused: Vec<String>,
    ) -> Result<Route, CommandError> {
        let time = (self.columns.iter()).position(|column| {
            Some(&*column.name) == dataset.time && column.kind == ValueKind::Time
        });
        if time.is_none() && wishes.window != TimeWindow::default() {
            return Err(refuse(self.table, "has no time column for --from and --to"));
        }
        let makes_partitions =
            wishes.own_table && partition_time(self.table, &self.targets).is_some();
        let needs_stage = self.table.before_triggers || self.table.row_security;
        // Exchange is a matter of many loads together; what each falls back to is decided here.
        let strategy = match wishes.strategy {
            Some(strategy @ (Strategy::Direct | Strategy::Stage)) => strategy,
            _ if needs_stage => Strategy::Stage,
            _ => Strategy::Direct,
        };
        let interval_column = (self.columns.iter())
            .position(|column| column.name == "interval" && column.kind == ValueKind::Word)
            .filter(|_| wishes.own_table);
        let mapping = Mapping {
            dataset: dataset.name.to_owned(),
            columns: self.columns,
            time_column: time,
            from_us: wishes.window.from_us,
            to_us: wishes.window.to_us,
            quirks: recognised.quirks.clone(),
            nulls: recognised.nulls.clone(),
        };
        let mut checker = checker(dataset, self.table, &mapping, &self.targets, makes_partitions);
        checker.rules = rules(dataset, &mapping, wishes.no_check);
        checker.order = in_order(dataset, &mapping, wishes.no_check);
        let quality = quality(dataset, &mapping, wishes.no_check);
        let tables = family(dataset, (self.table, self.targets), children)?;
        let target = Arc::new(aim(dataset, tables, &mapping, wishes.policy, strategy));
        Ok(Route {
            mapping,
            target,
            tickers: self.tickers,
            identity: self.identity,
            checker,
            quality,
            makes_partitions,
            interval_column,
            unused,
        })
    }
}

/// Position of the column that the table is partitioned by, if that is a time which is sent.
fn partition_time(table: &TargetTable, targets: &[TargetColumn]) -> Option<usize> {
    let name = table.partitioning.as_ref()?.time_column.as_ref()?;
    targets.iter().position(|target| target.name == *name)
}

/// The rules for rows of this mapping.
pub(super) fn checker(
    dataset: &Dataset,
    table: &TargetTable,
    mapping: &Mapping,
    targets: &[TargetColumn],
    makes_partitions: bool,
) -> Checker {
    let accepted = match (partition_time(table, targets), &table.partitioning) {
        (Some(at), Some(partitioning)) if !makes_partitions && !partitioning.has_default => {
            Some((at, partitioning.accepted.clone()))
        }
        _ => None,
    };
    let of_group = |group: &&[&str]| {
        let at = |name: &&str| mapping.columns.iter().position(|column| column.name == *name);
        group.iter().map(at).collect::<Option<Vec<usize>>>()
    };
    let own = table.schema == dataset.table.schema && table.name == dataset.table.name;
    let words = mapping.columns.iter().enumerate().filter_map(|(at, mapped)| {
        let column = dataset.columns.iter().find(|column| column.name == mapped.name)?;
        let has = own && mapped.kind == ValueKind::Word && !column.words.is_empty();
        has.then_some((at, column.words))
    });
    Checker {
        together: dataset.together.iter().filter_map(of_group).collect(),
        rules: Vec::new(),
        words: words.collect(),
        accepted,
        order: None,
    }
}

/// A dataset's tables with the columns that are sent: `root` has those of the mapping, its children
/// those of the dataset.
pub(super) fn family(
    dataset: &Dataset,
    root: (&TargetTable, Vec<TargetColumn>),
    children: &[TargetTable],
) -> Result<Vec<TableTarget>, CommandError> {
    let (table, columns) = root;
    let mut tables = vec![TableTarget { table: table.clone(), columns, root_key: Vec::new() }];
    for (child, table) in dataset.children.iter().zip(children) {
        let column = |name: &str| {
            let missing = || format!("has no column {name}: apply its migrations again");
            table.column(name).cloned().ok_or_else(|| refuse(table, missing()))
        };
        let columns = child.columns.iter().map(|child| column(child.name));
        let position = |name: &&str| child.columns.iter().position(|column| column.name == *name);
        tables.push(TableTarget {
            table: table.clone(),
            columns: columns.collect::<Result<_, _>>()?,
            root_key: child.root_key.iter().filter_map(position).collect(),
        });
    }
    Ok(tables)
}

/// The tables as a target for rows of this mapping.
pub(super) fn aim(
    dataset: &Dataset,
    tables: Vec<TableTarget>,
    mapping: &Mapping,
    policy: ConflictPolicy,
    strategy: Strategy,
) -> Target {
    let root = &tables[0];
    let position = |name: &String| root.columns.iter().position(|target| target.name == *name);
    let key = root.table.key.iter().map(position).collect::<Option<Vec<usize>>>();
    let key = key.unwrap_or_default();
    let meets = |meeting: dataset::Meeting| {
        mapping.columns.iter().enumerate().filter_map(move |(at, mapped)| {
            let column = dataset.columns.iter().find(|column| column.name == mapped.name)?;
            (column.meeting == meeting).then_some(at)
        })
    };
    let meeting = Meeting {
        content: meets(dataset::Meeting::Content).next(),
        adds: meets(dataset::Meeting::Adds).collect(),
    };
    Target {
        tables,
        key,
        meeting,
        policy,
        strategy,
        time: mapping.time_column,
        meets_stored: AtomicBool::new(false),
        meets_few: AtomicBool::new(false),
        mostly_bad: AtomicBool::new(false),
    }
}

/// How values are read when nothing but the target's type is known.
fn natural_kind(pg_type: PgType) -> ValueKind {
    match pg_type {
        PgType::Bool => ValueKind::Bool,
        PgType::Int2 | PgType::Int4 | PgType::Int8 => ValueKind::Integer,
        PgType::Float4 | PgType::Float8 => ValueKind::Float,
        PgType::Numeric(_) => ValueKind::Decimal,
        PgType::Text(_) | PgType::Uuid => ValueKind::Text,
        PgType::Json | PgType::Jsonb => ValueKind::Json,
        PgType::Timestamptz | PgType::Timestamp => ValueKind::Time,
        PgType::Date => ValueKind::Date,
    }
}

/// How a dataset's values are read for a target's type: numbers keep every digit on their way to
/// `numeric`.
fn kind_for(
    kind: ValueKind,
    target: &TargetColumn,
    table: &TargetTable,
) -> Result<ValueKind, CommandError> {
    let fits = match (kind, target.pg_type) {
        (ValueKind::Word, Some(PgType::Text(_))) => Some(ValueKind::Word),
        (ValueKind::Text, Some(PgType::Text(_))) => Some(ValueKind::Text),
        (ValueKind::Word | ValueKind::Text, Some(PgType::Uuid)) => Some(ValueKind::Text),
        (ValueKind::Json, Some(PgType::Json | PgType::Jsonb | PgType::Text(_))) => {
            Some(ValueKind::Json)
        }
        (
            ValueKind::Float | ValueKind::Integer | ValueKind::Decimal,
            Some(pg_type @ (PgType::Int2 | PgType::Int4 | PgType::Int8)),
        ) => Some(natural_kind(pg_type)),
        (
            ValueKind::Float | ValueKind::Integer | ValueKind::Decimal,
            Some(pg_type @ (PgType::Float4 | PgType::Float8 | PgType::Numeric(_))),
        ) => Some(natural_kind(pg_type)),
        (
            ValueKind::Time,
            Some(pg_type @ (PgType::Timestamptz | PgType::Timestamp | PgType::Date)),
        ) => Some(natural_kind(pg_type)),
        (ValueKind::Bool, Some(PgType::Bool)) => Some(ValueKind::Bool),
        (ValueKind::Date, Some(PgType::Date)) => Some(ValueKind::Date),
        _ => None,
    };
    fits.ok_or_else(|| {
        refuse(
            table,
            format!(
                "has a column {} of type {}, which does not take such values; change its type or \
                 rename it",
                target.name, target.type_name
            ),
        )
    })
}
