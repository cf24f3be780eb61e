//! The statements by which staged rows enter the target, each for the staged rows of one class.
//! Merging runs them over a whole batch, sifting over some of its rows: so both see the same
//! refusals.

use super::stage::{CLASSES, ROW, stage_name};
use super::{TableTarget, Target};
use crate::column::quote_identifier;

/// Class of a staged root whose key is not stored.
pub(super) const NEW: i32 = 0;
/// Class of a staged root that says what the stored row says.
pub(super) const EQUAL: i32 = 1;
/// Class of a staged root that differs from the stored row.
pub(super) const DIFFERENT: i32 = 2;
/// Class of a staged root that only adds to the stored row: its children are those that are stored.
pub(super) const ADDING: i32 = 3;
/// Class of a staged root that is a part of a record that is not stored.
pub(super) const PART: i32 = 4;
/// Number of classes.
pub(super) const CLASS_COUNT: usize = 5;

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

/// The class of each staged root `s` that was joined with the stored row `t`, if there is one.
pub(super) fn class(target: &Target) -> String {
    let (root, meeting) = (target.root(), &target.meeting);
    let values = |prefix: &str, columns: &[usize]| {
        let values = columns.iter().map(|&at| {
            let column = &root.columns[at];
            let comparable = column.pg_type.map_or("", crate::column::PgType::comparable);
            format!("{prefix}.{}{comparable}", quote_identifier(&column.name))
        });
        values.collect::<Vec<_>>().join(", ")
    };
    let mut cases = vec![format!("WHEN t.tableoid IS NULL THEN {NEW}")];
    let compared: Vec<usize> = match meeting.content {
        Some(content) => {
            let part = format!("{} IS NULL", values("s", &[content]));
            cases.insert(0, format!("WHEN t.tableoid IS NULL AND {part} THEN {PART}"));
            vec![content]
        }
        None => (0..root.columns.len())
            .filter(|at| !target.key.contains(at) && !meeting.adds.contains(at))
            .collect(),
    };
    if !compared.is_empty() {
        let (staged, stored) = (values("s", &compared), values("t", &compared));
        let whole = if meeting.content.is_some() {
            format!("{staged} IS NOT NULL AND ")
        } else {
            String::new()
        };
        cases.push(format!(
            "WHEN {whole}ROW({staged}) IS DISTINCT FROM ROW({stored}) THEN {DIFFERENT}"
        ));
    }
    for &at in &meeting.adds {
        let (staged, stored) = (values("s", &[at]), values("t", &[at]));
        cases.push(format!(
            "WHEN {staged} IS NOT NULL AND {staged} IS DISTINCT FROM {stored} THEN {ADDING}"
        ));
    }
    format!("CASE {} ELSE {EQUAL} END", cases.join(" "))
}

/// Updates the roots that differ from what is stored, or add to it.
pub(super) fn update_roots(target: &Target, filter: &str) -> String {
    let root = target.root();
    let name = |column: usize| quote_identifier(&root.columns[column].name);
    let key = target.key.iter().map(|&column| format!("t.{0} = s.{0}", name(column)));
    let others = (0..root.columns.len()).filter(|column| !target.key.contains(column));
    let set = others.map(|column| {
        let name = name(column);
        match target.meeting.content.map(|content| quote_identifier(&root.columns[content].name)) {
            _ if target.meeting.adds.contains(&column) => {
                format!("{name} = coalesce(s.{name}, t.{name})")
            }
            Some(content) => {
                format!("{name} = CASE WHEN s.{content} IS NULL THEN t.{name} ELSE s.{name} END")
            }
            None => format!("{name} = s.{name}"),
        }
    });
    format!(
        "UPDATE {} t SET {} FROM {} s JOIN {CLASSES} c USING ({ROW}) \
         WHERE c.class IN ({DIFFERENT}, {ADDING}){filter} AND {}",
        root.table.sql_name(),
        set.collect::<Vec<_>>().join(", "),
        stage_name(0),
        key.collect::<Vec<_>>().join(" AND ")
    )
}

/// Deletes the stored children of the roots that differ.
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
