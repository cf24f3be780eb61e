//! `rejects show`: one reject with all that is known of it.

use std::fmt::Write;

use serde_json::json;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::report::human;

use super::super::summary::hex;
use super::super::{Access, Answer, CommandError};
use super::no_ledger;

/// Bytes of a record that are dumped in hexadecimal.
const DUMP_BYTES_MAX: usize = 4_096;
const DUMP_BYTES_A_LINE: usize = 16;

pub(super) async fn run(access: &Access, id: i64) -> Result<Answer, CommandError> {
    let db = access.connect_to_ledger().await?.ok_or_else(no_ledger)?;
    let row = db
        .query_typed_opt(
            "SELECT r.id, r.load_id, r.run_id, r.source, r.row_no, r.line_no, r.byte_offset, \
                 r.byte_len, r.rule, r.column_name, r.sqlstate, r.reason, r.raw, \
                 r.recorded_at::text AS recorded_at, r.resolved_at::text AS resolved_at, \
                 r.resolved_by, l.layout, c.target, c.dataset \
             FROM tidegate.reject r LEFT JOIN tidegate.load l ON l.id = r.load_id \
                 LEFT JOIN tidegate.content c ON c.id = l.content_id WHERE r.id = $1",
            &[(&id, Type::INT8)],
        )
        .await?;
    let row = row.ok_or_else(|| {
        CommandError::Refused(format!("there is no reject {id}: tidegate rejects list shows them"))
    })?;
    Ok(Answer { text: Some(for_people(&row)), json: Some(for_machines(&row)), ..Answer::done() })
}

fn number(row: &Row, column: &str) -> Option<i64> {
    row.get(column)
}

fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    row.get(column)
}

fn for_machines(row: &Row) -> serde_json::Value {
    let raw: &[u8] = row.get("raw");
    json!({
        "id": number(row, "id"), "load_id": number(row, "load_id"),
        "run_id": number(row, "run_id"), "source": text(row, "source"),
        "layout": text(row, "layout"), "dataset": text(row, "dataset"),
        "target": text(row, "target"), "row": number(row, "row_no"),
        "line": number(row, "line_no"), "byte": number(row, "byte_offset"),
        "bytes": number(row, "byte_len"), "rule": text(row, "rule"),
        "column": text(row, "column_name"), "sqlstate": text(row, "sqlstate"),
        "reason": text(row, "reason"), "recorded_at": text(row, "recorded_at"),
        "resolved_at": text(row, "resolved_at"), "resolved_by": number(row, "resolved_by"),
        "record": std::str::from_utf8(raw).ok(), "record_hex": hex(raw),
    })
}

fn for_people(row: &Row) -> String {
    let raw: &[u8] = row.get("raw");
    let shown = |column: &str| number(row, column).map(|number| number.to_string());
    let words = |column: &str| text(row, column).map(human::one_line);
    let resolved = words("resolved_at").map(|at| match shown("resolved_by") {
        Some(run) => format!("{at}, by run {run}"),
        None => at,
    });
    let facts = [
        ("reject", shown("id")),
        ("source", words("source")),
        ("row", shown("row_no")),
        ("line", shown("line_no")),
        ("byte", shown("byte_offset")),
        ("rule", words("rule")),
        ("column", words("column_name")),
        ("sqlstate", words("sqlstate")),
        ("reason", words("reason")),
        ("dataset", words("dataset")),
        ("layout", words("layout")),
        ("target", words("target")),
        ("load", shown("load_id")),
        ("run", shown("run_id")),
        ("recorded", words("recorded_at")),
        ("resolved", Some(resolved.unwrap_or_else(|| "no".to_owned()))),
    ];
    let mut out = String::new();
    for (name, value) in facts {
        if let Some(value) = value {
            let _ = writeln!(out, "{name:<9} {value}");
        }
    }
    // A Parquet record has no bytes of its own; its length is 0.
    let whole = number(row, "byte_len").unwrap_or(0).max(raw.len() as i64);
    let kept = match whole > raw.len() as i64 {
        true => format!("the first {} of {whole} bytes", raw.len()),
        false => format!("{whole} bytes"),
    };
    let _ = writeln!(out, "record    {kept}:\n\n{}", escaped(raw));
    if !is_printable(raw) {
        out.push('\n');
        dump(raw, &mut out);
    }
    out
}

/// Whether the bytes as text show all there is to see.
fn is_printable(raw: &[u8]) -> bool {
    std::str::from_utf8(raw).is_ok_and(|text| human::one_line(text) == text)
}

/// The bytes as text; what is not printable is escaped, line ends are kept.
fn escaped(raw: &[u8]) -> String {
    let mut out = String::new();
    for chunk in raw.utf8_chunks() {
        for (at, line) in chunk.valid().split('\n').enumerate() {
            if at > 0 {
                out.push('\n');
            }
            out.push_str(&human::one_line(line));
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out
}

/// Offsets, hexadecimal digits and ASCII, side by side.
fn dump(raw: &[u8], out: &mut String) {
    let shown = &raw[..raw.len().min(DUMP_BYTES_MAX)];
    for (at, line) in shown.chunks(DUMP_BYTES_A_LINE).enumerate() {
        let digits: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let graphic = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let ascii: String =
            line.iter().map(|byte| if graphic(byte) { char::from(*byte) } else { '.' }).collect();
        let _ = writeln!(out, "{:08x}  {digits:<48} {ascii}", at * DUMP_BYTES_A_LINE);
    }
    if shown.len() < raw.len() {
        let _ = writeln!(out, "({} more bytes)", raw.len() - shown.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_escaped_and_dumped() {
        let raw = b"A,\0\xff\x1b[2J\nB";
        assert_eq!(escaped(raw), "A,\\u{0}\\xff\\u{1b}[2J\nB");
        assert!(!is_printable(raw) && is_printable("A,é".as_bytes()));
        let mut out = String::new();
        dump(raw, &mut out);
        assert_eq!(out, "00000000  41 2c 00 ff 1b 5b 32 4a 0a 42                    A,...[2J.B\n");
        out.clear();
        dump(&[b'x'; DUMP_BYTES_MAX + 3], &mut out);
        assert!(out.ends_with("(3 more bytes)\n"), "{out}");
    }
}
