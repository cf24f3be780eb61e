//! The statements by which staged rows enter the target, each for the staged rows of one class.
//! Merging runs them over a whole batch, sifting over some of its rows: so both see the same
//! refusals.

use super::stage::{CLASSES, ROW, stage_name};
use super::{TableTarget, Target};
use crate::column::quote_identifier;

/// Class of a staged root whose key is not stored.
pub(super) const NEW: i32 = 0;
/// Class of a staged root that differs from the stored row.
pub(super) const DIFFERENT: i32 = 2;

/// Ends a statement: only the rows whose positions are in the array `$1`.
pub(super) fn only_some() -> String {
    format!(" AND c.{ROW} = ANY($1)")
}

/// Inserts the new roots, all of them (`filter` empty) or [`only_some`]. Keys that somebody else
/// wrote meanwhile are passed over, to be noticed by the count. Another unique index is not: a row
/// that it refuses is at fault.
pub(super) fn insert_roots(target: &Target, filter: &str) -> String {
    let root = target.root();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM {} s JOIN {CLASSES} c USING ({ROW}) \
         WHERE c.class = {NEW}{filter} ORDER BY c.{ROW}{}",
        root.table.sql_name(),
        root.column_list(""),
        root.column_list("s."),
        stage_name(0),
        target.on_stored_key()
    )
}

/// Inserts the children, in table number `at`, of the roots of one class.
pub(super) fn insert_children(target: &Target, at: usize, class: i32, filter: &str) -> String {
    let child = &target.tables[at];
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM {} s JOIN {} r ON {} \
         JOIN {CLASSES} c ON c.{ROW} = r.{ROW} WHERE c.class = {class}{filter} ORDER BY s.{ROW}",
        child.table.sql_name(),
        child.column_list(""),
        child.column_list("s."),
        stage_name(at),
        stage_name(0),
        root_match(target, child, "s"),
    )
}

/// Updates the roots that differ from what is stored.
pub(super) fn update_roots(target: &Target, filter: &str) -> String {
    let root = target.root();
    let name = |column: usize| quote_identifier(&root.columns[column].name);
    let key = target.key.iter().map(|&column| format!("t.{0} = s.{0}", name(column)));
    let others = (0..root.columns.len()).filter(|column| !target.key.contains(column));
    let set = others.map(|column| format!("{0} = s.{0}", name(column)));
    format!(
        "UPDATE {} t SET {} FROM {} s JOIN {CLASSES} c USING ({ROW}) \
         WHERE c.class = {DIFFERENT}{filter} AND {}",
        root.table.sql_name(),
        set.collect::<Vec<_>>().join(", "),
        stage_name(0),
        key.collect::<Vec<_>>().join(" AND ")
    )
}

/// Deletes the stored children of the roots that are updated.
pub(super) fn delete_children(target: &Target, at: usize, filter: &str) -> String {
    let child = &target.tables[at];
    format!(
        "DELETE FROM {} t USING {} r JOIN {CLASSES} c USING ({ROW}) \
         WHERE c.class = {DIFFERENT}{filter} AND {}",
        child.table.sql_name(),
        stage_name(0),
        root_match(target, child, "t")
    )
}

/// `child.key = r.key`, where `r` is the staged root.
pub(super) fn root_match(target: &Target, child: &TableTarget, alias: &str) -> String {
    let pairs = child.root_key.iter().zip(&target.key).map(|(&mine, &roots)| {
        format!(
            "{alias}.{} = r.{}",
            quote_identifier(&child.columns[mine].name),
            quote_identifier(&target.root().columns[roots].name)
        )
    });
    pairs.collect::<Vec<_>>().join(" AND ")
}
