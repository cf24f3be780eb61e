//! `rejects list`.

use serde_json::{Value, json};

use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid};

use super::super::{Access, Answer, CommandError};
use super::{Filter, MATCHES};

/// Rejects that are listed unless asked otherwise.
const ROWS_DEFAULT: u64 = 100;
/// Columns of a reason in the table; the whole is in the JSON and in `show`.
const REASON_COLUMNS: usize = 80;

pub(super) async fn run(access: &Access, filter: &Filter) -> Result<Answer, CommandError> {
    let Some(db) = access.connect_to_ledger().await? else {
        return Ok(Answer { json: Some(json!([])), ..Answer::message("nothing was loaded yet") });
    };
    let limit = i64::try_from(filter.limit.unwrap_or(ROWS_DEFAULT)).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT r.id, r.load_id, r.run_id, r.source, r.row_no, r.line_no, r.byte_offset, r.rule, \
             r.column_name, r.sqlstate, r.reason, \
             to_char(r.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS at, \
             to_char(r.resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS done \
         FROM tidegate.reject r WHERE {MATCHES} ORDER BY r.id LIMIT {limit}"
    );
    let rows = db.query_typed(&sql, &filter.parameters()).await?;
    let sql = format!("SELECT count(*) FROM tidegate.reject r WHERE {MATCHES}");
    let matching: i64 = db.query_typed_one(&sql, &filter.parameters()).await?.get(0);
    let mut heads = vec!["Id", "Source", "Line", "Byte", "Rule", "Column", "Reason", "When"];
    heads.extend(filter.resolved.then_some("Resolved"));
    let mut grid = Grid::new(heads).right(&[0, 2, 3]).paths(&[1]);
    let mut values = Vec::with_capacity(rows.len());
    for row in &rows {
        let text = |column: &str| row.get::<_, Option<&str>>(column);
        let number = |column: &str| row.get::<_, Option<i64>>(column).map(|n| n.max(0) as u64);
        let id: i64 = row.get("id");
        let reason: &str = row.get("reason");
        grid.push([
            // Without thousands separators: it is typed again.
            Cell::shown(id.to_string(), id),
            text("source").into(),
            number("line_no").into(),
            number("byte_offset").into(),
            text("rule").into(),
            text("column_name").into(),
            Cell::shown(human::fit(&human::one_line(reason), REASON_COLUMNS), reason),
            text("at").into(),
            text("done").into(),
        ]);
        values.push(json!({
            "id": id, "load_id": number("load_id"), "run_id": number("run_id"),
            "source": text("source"), "row": number("row_no"), "line": number("line_no"),
            "byte": number("byte_offset"), "rule": text("rule"), "column": text("column_name"),
            "sqlstate": text("sqlstate"), "reason": reason, "recorded_at": text("at"),
            "resolved_at": text("done"),
        }));
    }
    let (matching, listed) = (matching.max(0) as u64, rows.len() as u64);
    let mut messages = vec![if filter.resolved {
        human::plural(matching, "reject")
    } else {
        format!("{} open", human::plural(matching, "reject"))
    }];
    if listed < matching {
        messages[0].push_str(&format!("; the first {listed} are listed, --limit lists more"));
    }
    let json = Some(Value::Array(values));
    Ok(Answer { exit: Exit::Done, grid: Some(grid), json, text: None, messages })
}
