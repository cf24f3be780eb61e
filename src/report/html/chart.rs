//! Drawings over time: speed, stages, and earlier runs. Plain SVG that stretches with the page;
//! its words stand beside it as text, so that they can be read on any screen, and every drawing
//! has its figures in a table.

use std::fmt::Write;

use super::text::{Shown, T, pointer_key};
use super::{human, moment, section};
use crate::report::model::Report;
use crate::report::timeline::{HELD_BACK, Point};

/// Rows of the table that stands for a drawing.
const TABLE_ROWS: usize = 24;

/// Speed and stages over time.
pub fn speed(out: &mut String, report: &Report) {
    let points = &report.timeline.points;
    if points.is_empty() {
        return;
    }
    section(out, "speed", "Over time", |out| {
        let end_s = points.last().map_or(0.0, |point| point.to_s);
        let rows = |point: &Point| point.rows as f64 / point.seconds().max(1e-3);
        let bytes = |point: &Point| point.bytes as f64 / point.seconds().max(1e-3) / 1e6;
        curve(out, "Rows a second", "rows", points, rows, &|n| human::count(n as u64));
        curve(out, "MB a second", "bytes", points, bytes, &|n| format!("{n:.1}"));
        lanes(out, report);
        axis(out, end_s);
        legend(out, report);
        figures(out, points, &report.timeline.stages);
    });
}

/// The largest number of the form 1, 2, 5 times a power of ten that is no smaller.
fn round_up(number: f64) -> f64 {
    let unit = 10f64.powf(number.max(1e-9).log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * unit).find(|top| *top >= number).unwrap_or(10.0 * unit)
}

fn curve(
    out: &mut String,
    title: &str,
    class: &str,
    points: &[Point],
    value: impl Fn(&Point) -> f64,
    show: &dyn Fn(f64) -> String,
) {
    let end_s = points.last().map_or(1.0, |point| point.to_s).max(1e-3);
    let most = points.iter().map(&value).fold(0.0, f64::max);
    let top = round_up(most);
    let (x, y) = (|s: f64| s / end_s * 1000.0, |v: f64| 100.0 - v / top * 100.0);
    let mut path = String::from("M0 100");
    for point in points {
        let height = y(value(point));
        let (from, to) = (x(point.from_s), x(point.to_s));
        let _ = write!(path, "L{from:.1} {height:.1}L{to:.1} {height:.1}");
    }
    let line = path.replacen("M0 100L", "M", 1);
    let _ = writeln!(
        out,
        "<figure class=\"curve {class}\"><figcaption>{title}</figcaption>\
         <div class=\"scale\" aria-hidden=\"true\"><span>{}</span><span>{}</span><span>0</span>\
         </div><svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{title} over {}; at most {}. The table below has the figures.\">\
         <path class=\"grid\" d=\"M0 0H1000M0 50H1000M0 100H1000\"/>\
         <path class=\"area\" d=\"{path}L1000 100Z\"/><path class=\"line\" d=\"{line}\"/></svg>\
         </figure>",
        show(top),
        show(top / 2.0),
        human::seconds(end_s),
        show(most),
    );
}

/// A lane for each stage: how much of the time it was occupied, and when the others waited for it.
fn lanes(out: &mut String, report: &Report) {
    let timeline = &report.timeline;
    let end_s = timeline.points.last().map_or(1.0, |point| point.to_s).max(1e-3);
    out.push_str("<div class=\"lanes\">\n");
    for (at, stage) in timeline.stages.iter().enumerate() {
        let used = timeline.points.iter().any(|point| point.occupied[at] >= 0.005);
        if used {
            lane(out, stage, &timeline.points, end_s, |point| point.occupied[at]);
        }
    }
    let held = |point: &Point| f64::from(point.bottleneck.as_deref() == Some(HELD_BACK));
    if timeline.points.iter().any(|point| held(point) > 0.0) {
        lane(out, HELD_BACK, &timeline.points, end_s, held);
    }
    out.push_str("</div>\n");
}

fn lane(
    out: &mut String,
    name: &str,
    points: &[Point],
    end_s: f64,
    occupied: impl Fn(&Point) -> f64,
) {
    let seconds: f64 = points.iter().map(|point| occupied(point) * point.seconds()).sum();
    let held_up: f64 = points
        .iter()
        .filter(|point| point.bottleneck.as_deref() == Some(name))
        .map(Point::seconds)
        .sum();
    let class = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let _ = write!(
        out,
        "<div class=\"lane stage-{class}\"><span class=\"name\">{name}</span><svg viewBox=\"0 0 \
         1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{name}: occupied {:.0} \
         percent of the time, the bottleneck for {}\">",
        seconds / end_s * 100.0,
        human::seconds(held_up),
        name = T(name),
    );
    for point in points {
        let share = occupied(point);
        if share < 0.005 {
            continue;
        }
        let (x, width) = (point.from_s / end_s * 1000.0, point.seconds() / end_s * 1000.0);
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" width=\"{width:.2}\" height=\"10\" opacity=\"{:.2}\"/>",
            0.12 + share * 0.6
        );
        if point.bottleneck.as_deref() == Some(name) {
            let _ = write!(out, "<rect x=\"{x:.1}\" y=\"7\" width=\"{width:.2}\" height=\"3\"/>");
        }
    }
    out.push_str("</svg></div>\n");
}

fn axis(out: &mut String, end_s: f64) {
    out.push_str("<div class=\"axis\" aria-hidden=\"true\">");
    for quarter in 0..=4 {
        let _ = write!(out, "<span>{}</span>", human::seconds(end_s * f64::from(quarter) / 4.0));
    }
    out.push_str("</div>\n");
}

fn legend(out: &mut String, report: &Report) {
    out.push_str(
        "<p class=\"note\">A stage is the darker the more of its workers were at work; the line \
         under it marks when the others waited for it",
    );
    let found = report.timeline.bottlenecks();
    for (at, (stage, seconds)) in found.iter().enumerate() {
        let before = if at == 0 { ": " } else { ", " };
        let _ = write!(out, "{before}{} for {}", T(stage), human::seconds(*seconds));
    }
    out.push_str(".</p>\n");
    if report.stages.is_empty() && report.waits.is_empty() {
        return;
    }
    out.push_str("<ul class=\"facts\">\n");
    // A stage that this load has none of is not worth a line.
    for (stage, seconds) in report.stages.iter().filter(|(_, seconds)| **seconds > 0.0) {
        let pointer = format!("/stages/{}", pointer_key(stage));
        let shown = human::seconds(*seconds);
        let shown = Shown(*seconds, &shown, &pointer);
        let _ =
            writeln!(out, "<li>{} was busy for {shown}, added up over its workers</li>", T(stage));
    }
    for (reason, seconds) in &report.waits {
        let pointer = format!("/waits/{}", pointer_key(reason));
        let shown = human::seconds(*seconds);
        let shown = Shown(*seconds, &shown, &pointer);
        let _ = writeln!(out, "<li>held back on purpose for {shown}: {}</li>", T(reason));
    }
    out.push_str("</ul>\n");
}

/// The drawings' figures as a table.
fn figures(out: &mut String, points: &[Point], stages: &[String]) {
    out.push_str(
        "<details><summary>The figures as a table</summary><div class=\"scroll\" tabindex=\"0\" \
         role=\"region\" aria-label=\"Figures over time\"><table><thead><tr><th \
         scope=\"col\">from</th><th scope=\"col\">to</th><th scope=\"col\">rows</th><th \
         scope=\"col\">rows/s</th><th scope=\"col\">MB/s</th><th scope=\"col\">rejects</th><th \
         scope=\"col\">retries</th>",
    );
    for stage in stages {
        let _ = write!(out, "<th scope=\"col\">{}</th>", T(stage));
    }
    out.push_str("<th scope=\"col\">bottleneck</th></tr></thead><tbody>\n");
    for part in points.chunks(points.len().div_ceil(TABLE_ROWS).max(1)) {
        let (from_s, to_s) = (part[0].from_s, part[part.len() - 1].to_s);
        let length = (to_s - from_s).max(1e-3);
        let sum = |get: fn(&Point) -> u64| part.iter().map(get).sum::<u64>();
        let (rows, bytes) = (sum(|p| p.rows), sum(|p| p.bytes));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td><td>{}</td>",
            human::seconds(from_s),
            human::seconds(to_s),
            human::count(rows),
            human::count((rows as f64 / length).round() as u64),
            bytes as f64 / length / 1e6,
            human::count(sum(|p| p.rejects)),
            human::count(sum(|p| p.retries)),
        );
        for at in 0..stages.len() {
            let busy: f64 = part.iter().map(|p| p.occupied[at] * p.seconds()).sum();
            let _ = write!(out, "<td>{:.0} %</td>", busy / length * 100.0);
        }
        let stage = part.iter().max_by(|a, b| a.seconds().total_cmp(&b.seconds()));
        let stage = stage.and_then(|point| point.bottleneck.as_deref()).unwrap_or("");
        let _ = writeln!(out, "<td class=\"word\">{}</td></tr>", T(stage));
    }
    out.push_str("</tbody></table></div></details>\n");
}

/// This run beside earlier ones.
pub fn earlier(out: &mut String, report: &Report) {
    if report.earlier_runs.is_empty() {
        return;
    }
    section(out, "earlier", "Beside earlier runs", |out| {
        verdict(out, report);
        out.push_str(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Earlier runs\">\
             <table><thead><tr><th scope=\"col\">run</th><th scope=\"col\" \
             class=\"word\">started</th><th scope=\"col\">exit</th><th scope=\"col\">took</th><th \
             scope=\"col\">read</th><th scope=\"col\">inserted or updated</th><th \
             scope=\"col\">rejected</th><th scope=\"col\">rows/s</th><th scope=\"col\" \
             class=\"word\"><span class=\"unseen\">rows/s as a bar</span></th></tr></thead>\
             <tbody>\n",
        );
        let fastest = report.earlier_runs.iter().map(|run| run.rows_per_s);
        let fastest = fastest.fold(report.throughput.rows_per_s, f64::max).max(1.0);
        let counts = &report.totals.counts;
        row(
            out,
            &Row {
                name: format!("<b>{}, this one</b>", T(&report.run_id)),
                started: moment(report.started_at),
                exit: Some(report.exit.code()),
                elapsed_s: report.elapsed_s,
                counts: [counts.read, counts.inserted + counts.updated, counts.rejected],
                rows_per_s: report.throughput.rows_per_s,
                fastest,
            },
        );
        for run in &report.earlier_runs {
            row(
                out,
                &Row {
                    name: T(&run.run_id).to_string(),
                    started: moment(run.started_at),
                    exit: run.exit_code,
                    elapsed_s: run.elapsed_s,
                    counts: [run.read, run.written, run.rejected],
                    rows_per_s: run.rows_per_s,
                    fastest,
                },
            );
        }
        out.push_str("</tbody></table></div>\n");
    });
}

struct Row {
    /// Markup.
    name: String,
    /// Markup.
    started: String,
    exit: Option<u8>,
    elapsed_s: f64,
    counts: [u64; 3],
    rows_per_s: f64,
    fastest: f64,
}

fn row(out: &mut String, run: &Row) {
    let [read, written, rejected] = run.counts.map(human::count);
    let class = if run.counts[2] > 0 { " class=\"bad\"" } else { "" };
    let exit = run.exit.map_or("none".to_owned(), |code| code.to_string());
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">{}</th><td class=\"word\">{}</td><td>{exit}</td><td>{}</td>\
         <td>{read}</td><td>{written}</td><td{class}>{rejected}</td><td>{}</td><td \
         class=\"word\"><span class=\"bar\" style=\"width:{:.1}%\"></span></td></tr>",
        run.name,
        run.started,
        human::seconds(run.elapsed_s),
        human::count(run.rows_per_s.round() as u64),
        run.rows_per_s / run.fastest * 100.0,
    );
}

/// Runs that read less than this part of what this run read are no measure of its speed.
const COMPARABLE_SHARE: f64 = 0.2;

/// How fast this run was, in a sentence, beside those that did about as much.
fn verdict(out: &mut String, report: &Report) {
    let read = report.totals.counts.read as f64;
    let like = report.earlier_runs.iter().filter(|run| {
        run.read as f64 >= read * COMPARABLE_SHARE && run.read as f64 * COMPARABLE_SHARE <= read
    });
    let mut speeds: Vec<f64> =
        like.map(|run| run.rows_per_s).filter(|speed| *speed > 0.0).collect();
    speeds.sort_by(f64::total_cmp);
    let Some(median) = speeds.get(speeds.len() / 2).filter(|_| read > 0.0) else {
        out.push_str("<p class=\"note\">None of them read about as much as this one.</p>\n");
        return;
    };
    let times = report.throughput.rows_per_s / median;
    let _ = writeln!(
        out,
        "<p>{times:.2} times the median speed of {} that read about as much.</p>",
        human::plural(speeds.len() as u64, "earlier run")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_a_round_number() {
        for (most, top) in [(0.3, 0.3), (1.0, 1.0), (1.2, 1.5), (77.0, 80.0), (406_504.0, 5e5)] {
            assert!((round_up(most) - top).abs() < 1e-9, "{most}: {}", round_up(most));
        }
    }
}
