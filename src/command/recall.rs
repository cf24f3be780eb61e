//! What a load was begun with, made anew from the recipe that the ledger keeps and from what the
//! catalogue says of the table now. Called by `rejects replay` and `verify data`.

use crate::check::Checker;
use crate::column::{TargetColumn, TargetTable};
use crate::dataset::{self, ConflictPolicy};
use crate::db::{Connection, catalog};
use crate::write::{Strategy, Target};

use super::CommandError;
use super::map::{aim, checker, family};
use super::recipe::Recipe;
use super::rules::rules;

/// A recipe's tables, the root first.
pub(super) async fn tables(
    db: &Connection,
    recipe: &Recipe,
    source: &str,
) -> Result<(TargetTable, Vec<TargetTable>), CommandError> {
    let table = catalog::load_table(db, Some(&recipe.schema), &recipe.table).await?;
    let table = table.ok_or_else(|| {
        CommandError::Refused(format!(
            "{}.{} is gone, where {source} was loaded: make it again and load the file with \
             --reload",
            recipe.schema, recipe.table
        ))
    })?;
    let mut children = Vec::new();
    for child in dataset::by_name(&recipe.mapping.dataset).map_or(&[][..], |it| it.children) {
        let own = child.table;
        let found = catalog::load_table(db, Some(own.schema), own.name).await?;
        let gone = || CommandError::Refused(format!("{own} is gone: apply its migrations again"));
        children.push(found.ok_or_else(gone)?);
    }
    Ok((table, children))
}

/// The rules of a recipe's rows, and where they go.
pub(super) fn recall(
    recipe: &Recipe,
    (table, children): (&TargetTable, &[TargetTable]),
    policy: ConflictPolicy,
) -> Result<(Checker, Target), CommandError> {
    let dataset = dataset::by_name(&recipe.mapping.dataset).ok_or_else(|| {
        let name = &recipe.mapping.dataset;
        CommandError::Refused(format!("the dataset {name} is not part of this version"))
    })?;
    let targets = columns(recipe, table)?;
    let mut checker = checker(dataset, table, &recipe.mapping, &targets, recipe.makes_partitions);
    checker.rules = rules(dataset, &recipe.mapping, &recipe.no_check);
    let tables = family(dataset, (table, targets), children)?;
    Ok((checker, aim(dataset, tables, &recipe.mapping, policy, Strategy::Stage)))
}

/// The policy by its name in the ledger.
pub(super) fn policy(name: &str) -> Result<ConflictPolicy, CommandError> {
    ConflictPolicy::from_name(name)
        .ok_or_else(|| CommandError::Refused(format!("unknown conflict policy {name}")))
}

/// The table's columns that the mapping's columns go to.
fn columns(recipe: &Recipe, table: &TargetTable) -> Result<Vec<TargetColumn>, CommandError> {
    let column = |name: &String| {
        table.column(name).cloned().ok_or_else(|| {
            CommandError::Refused(format!(
                "{} has no column {name} any more, which the load filled: add it again, or load \
                 the mended file anew",
                table.display_name()
            ))
        })
    };
    recipe.targets.iter().map(column).collect()
}
