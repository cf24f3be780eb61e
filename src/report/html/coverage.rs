//! What the tables hold where the run wrote: a heat map of series by time.

use std::fmt::Write;

use super::text::{Num, T};
use super::{human, section};
use crate::report::coverage::{Coverage, Series};
use crate::report::model::Report;

/// A map for each table.
pub fn section_of(out: &mut String, report: &Report) {
    if report.coverage.is_empty() {
        return;
    }
    section(out, "coverage", "Coverage", |out| {
        for (at, coverage) in report.coverage.iter().enumerate() {
            map(out, at, coverage);
        }
    });
}

fn map(out: &mut String, at: usize, coverage: &Coverage) {
    let (first, last) = match (coverage.columns.first(), coverage.columns.last()) {
        (Some(first), Some(last)) => (day(first), day(last)),
        _ => ("", ""),
    };
    let _ = writeln!(
        out,
        "<h3>{} <small>{} by {}, from {} to {}</small></h3>",
        T(&coverage.table),
        human::plural(coverage.series_total, "series").replace("seriess", "series"),
        T(&coverage.unit),
        T(first),
        T(last),
    );
    if let Some(note) = &coverage.note {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", T(note));
    }
    if !coverage.series.is_empty() {
        legend(out);
        out.push_str("<div class=\"heat\">\n");
        for series in &coverage.series {
            strip(out, coverage, series);
        }
        out.push_str("</div>\n<div class=\"axis heat-axis\" aria-hidden=\"true\">");
        let count = coverage.columns.len();
        for quarter in 0..=4_usize {
            let column = (count * quarter / 4).min(count - 1);
            let _ = write!(out, "<span>{}</span>", T(day(&coverage.columns[column])));
        }
        out.push_str("</div>\n");
        sums(out, at, coverage);
    }
    if coverage.rejected_elsewhere > 0 {
        let pointer = format!("/coverage/{at}/rejected_elsewhere");
        let _ = writeln!(
            out,
            "<p class=\"note\">{} rejects of this run could not be placed on the map.</p>",
            Num(coverage.rejected_elsewhere, &pointer)
        );
    }
}

/// A time without what every column has in common: `2024-06-03`, or with hours `2024-06-03T09:00`.
fn day(time: &str) -> &str {
    let short = time.strip_suffix(":00Z").unwrap_or(time);
    short.strip_suffix("T00:00").unwrap_or(short)
}

fn legend(out: &mut String) {
    out.push_str(
        "<p class=\"legend\"><span><i class=\"key full\"></i>as many rows as usual</span>\
         <span><i class=\"key thin\"></i>fewer</span><span><i class=\"key gap\"></i>missing: \
         others have rows there</span><span><i class=\"key none\"></i>nobody has rows</span>\
         <span><i class=\"key mark-rejected\"></i>rejects of this run</span><span><i class=\"key \
         mark-restated\"></i>restated by this run</span></p>\n",
    );
}

/// The usual number of rows of a column that has any: the median.
fn usual(series: &Series) -> u64 {
    let mut rows: Vec<u64> = series.rows.iter().copied().filter(|rows| *rows > 0).collect();
    rows.sort_unstable();
    rows.get(rows.len() / 2).copied().unwrap_or(0)
}

/// The class of a cell, and what is said of it.
fn cell(series: &Series, at: usize, usual: u64) -> (&'static str, String) {
    let (rows, missing) = (series.rows[at], series.missing[at]);
    let shown = human::plural(rows, "row");
    if rows == 0 {
        return if missing > 0 {
            ("gap", "missing".to_owned())
        } else {
            ("none", "nobody has rows".to_owned())
        };
    }
    if missing > 0 {
        return ("part", format!("{shown}, {missing} of {} missing", series.count));
    }
    match rows as f64 / usual.max(1) as f64 {
        share if share >= 0.9 => ("full", shown),
        share if share >= 0.5 => ("most", shown),
        _ => ("thin", shown),
    }
}

fn strip(out: &mut String, coverage: &Coverage, series: &Series) {
    let usual = usual(series);
    let total: u64 = series.rows.iter().sum();
    let gaps = series.missing.iter().filter(|missing| **missing > 0).count();
    let (rejected, restated): (u64, u64) =
        (series.rejected.iter().sum(), series.restated.iter().sum());
    let _ = write!(
        out,
        "<div class=\"strip\"><span class=\"name\" title=\"{name}\">{name}</span><svg \
         viewBox=\"0 0 {columns} 10\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{name}: {}, {gaps} of {columns} columns with something missing, \
         {rejected} rejected, {restated} restated\">",
        human::plural(total, "row"),
        name = T(&series.name),
        columns = coverage.columns.len(),
    );
    for at in 0..coverage.columns.len() {
        let (class, mut said) = cell(series, at, usual);
        let (rejected, restated) = (series.rejected[at], series.restated[at]);
        if rejected > 0 {
            let _ = write!(said, ", {} rejected", human::count(rejected));
        }
        if restated > 0 {
            let _ = write!(said, ", {} restated", human::count(restated));
        }
        let _ = write!(
            out,
            "<g><title>{}: {said}</title><rect class=\"{class}\" x=\"{at}\" width=\"1\" \
             height=\"10\"/>",
            T(day(&coverage.columns[at]))
        );
        if rejected > 0 {
            let _ =
                write!(out, "<rect class=\"mark-rejected\" x=\"{at}\" width=\"1\" height=\"4\"/>");
        }
        if restated > 0 {
            let _ = write!(
                out,
                "<rect class=\"mark-restated\" x=\"{at}\" y=\"7\" width=\"1\" height=\"3\"/>"
            );
        }
        out.push_str("</g>");
    }
    out.push_str("</svg></div>\n");
}

/// The map's figures as a table.
fn sums(out: &mut String, map: usize, coverage: &Coverage) {
    out.push_str(
        "<details><summary>The figures as a table</summary><div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-label=\"Coverage in figures\"><table class=\"sortable\"><thead><tr>\
         <th scope=\"col\" class=\"word\">series</th><th scope=\"col\">rows</th><th \
         scope=\"col\">columns with rows</th><th scope=\"col\">columns missing</th><th \
         scope=\"col\">rejected</th><th scope=\"col\">restated</th></tr></thead><tbody>\n",
    );
    for series in &coverage.series {
        let filled = series.rows.iter().filter(|rows| **rows > 0).count() as u64;
        let gaps = series.missing.iter().filter(|missing| **missing > 0).count() as u64;
        let numbers = [
            series.rows.iter().sum(),
            filled,
            gaps,
            series.rejected.iter().sum(),
            series.restated.iter().sum(),
        ];
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", T(&series.name));
        for number in numbers {
            let _ =
                write!(out, "<td><data value=\"{number}\">{}</data></td>", human::count(number));
        }
        out.push_str("</tr>\n");
    }
    let _ = writeln!(
        out,
        "</tbody></table></div><p class=\"note\">Every cell is in the JSON, at \
         <code>/coverage/{map}</code>.</p></details>"
    );
}
