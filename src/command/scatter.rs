//! Which loads are scattered together: their rows sorted into the target's order before they are
//! written. It pays where the target has a key and many rows are to come; the planner says why it
//! chose, and why not.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, TimeUnit};

use crate::db::{Connection, DbError, exchange};
use crate::limit::{EXCHANGE_ROWS_MIN, SCATTER_ROWS_MIN};
use crate::mapping::ValueKind;
use crate::spill::KeyPlan;
use crate::write::Strategy;

use super::plan::{Planned, Planning, Standing};

/// Bytes of a text record, where nothing is known: a guess on the long side.
const RECORD_BYTES_GUESS: u64 = 80;

/// Loads with the same signature can be sorted together.
type Signature = (u32, &'static str, Vec<(String, ValueKind)>, &'static str);

/// Puts the loads that are to be begun into groups that are scattered together.
pub(super) fn choose(planning: &mut Planning, asked: Option<Strategy>) {
    if matches!(asked, Some(Strategy::Direct | Strategy::Stage)) {
        return;
    }
    let mut groups: HashMap<Signature, Vec<usize>> = HashMap::new();
    for (at, planned) in planning.loads.iter().enumerate() {
        if planned.standing != Standing::New {
            continue;
        }
        match obstacle(planned) {
            None => groups.entry(signature(planned)).or_default().push(at),
            Some(why) if asked.is_some() => planning
                .messages
                .push(format!("{}: loaded directly, not by exchange: {why}", planned.source.name)),
            Some(_) => {}
        }
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_unstable();
    for (number, group) in groups.into_iter().enumerate() {
        let rows: u64 = group.iter().map(|&at| rows(&planning.loads[at])).sum();
        if asked.is_some() || rows >= SCATTER_ROWS_MIN {
            group.iter().for_each(|&at| planning.loads[at].scatter = Some(number));
        }
    }
}

/// Says what an exchange does to an empty table of the user's; where exchange was asked for, also
/// why a table's rows are sorted and then loaded as it is.
pub(super) async fn explain(
    planning: &mut Planning,
    connection: &Connection,
    asked: Option<Strategy>,
) -> Result<(), DbError> {
    let mut told = HashSet::new();
    for planned in planning.loads.iter().filter(|planned| planned.scatter.is_some()) {
        let table = &planned.route.target.root().table;
        // One that is not made yet will be ours.
        if table.oid == 0 || !told.insert(table.oid) {
            continue;
        }
        let name = table.display_name();
        let obstacle = match &table.partitioning {
            Some(_) => exchange::obstacle(connection, table).await?,
            None => exchange::obstacle_to_strip(connection, table).await?,
        };
        match obstacle {
            Some(why) if asked == Some(Strategy::Exchange) => {
                planning.messages.push(format!("{name}: sorted, then loaded as it is: {why}"));
            }
            None if table.partitioning.is_none() => planning.messages.push(format!(
                "{name} is empty: it is filled without its indexes, which are made again in the \
                 same transaction; others wait for it meanwhile (--strategy direct avoids that)"
            )),
            _ => {}
        }
    }
    Ok(())
}

/// Rows from which on a fresh partition is exchanged: all of them if that was asked for.
pub(super) fn exchange_rows_min(asked: Option<Strategy>) -> u64 {
    if asked == Some(Strategy::Exchange) { 1 } else { EXCHANGE_ROWS_MIN }
}

fn rows(planned: &Planned) -> u64 {
    let bytes = planned.source.fingerprint.bytes;
    planned.source.rows.unwrap_or(bytes / RECORD_BYTES_GUESS)
}

fn signature(planned: &Planned) -> Signature {
    let target = &planned.route.target;
    let columns = planned.route.mapping.columns.iter().zip(&target.root().columns);
    (
        target.root().table.oid,
        super::plan::cut_rule(&planned.source),
        columns.map(|(column, target)| (target.name.clone(), column.kind)).collect(),
        target.policy.name(),
    )
}

/// Why a load's rows cannot be sorted first.
fn obstacle(planned: &Planned) -> Option<&'static str> {
    let (target, mapping) = (&planned.route.target, &planned.route.mapping);
    if target.strategy == Strategy::Stage {
        return Some("the table needs every row staged");
    }
    if let Some(why) = target.scatter_obstacle() {
        return Some(why);
    }
    let tickers = planned.route.tickers.as_ref().map(|tickers| tickers.column);
    let types: Vec<DataType> = (mapping.columns.iter().enumerate())
        .map(|(at, column)| match column.kind {
            _ if tickers == Some(at) => DataType::Int32,
            ValueKind::Word => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            ValueKind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            ValueKind::Date => DataType::Date32,
            ValueKind::Integer => DataType::Int64,
            _ => DataType::Utf8,
        })
        .collect();
    let types: Vec<&DataType> = types.iter().collect();
    match KeyPlan::new(&types, &target.key) {
        Some(_) => None,
        None => Some("its key does not fit into a number"),
    }
}
