//! What the layouts say, as a page for people: `docs/layouts.md` is this text, which a test keeps.
//! Knows nothing that the layouts do not say.

use std::fmt::Write as _;

use super::model::{Format, HeaderRule, Layout, Stamp, WaySource};
use super::pattern::Pattern;

/// The page of all layouts, in Markdown.
pub fn document(layouts: &[Layout]) -> String {
    let mut text = String::from(
        "# Layouts\n\n\
         The shapes of files that Tidegate knows without being told. A file is recognised by its\n\
         content, and by its name where the content says too little; `--layout NAME` names one.\n\
         `schema/layouts/README.md` says how to write another. This page is made from the \
         layouts:\n\
         `TIDEGATE_WRITE_DOCS=1 cargo test --lib layout::document` writes it anew.\n",
    );
    let (refused, loaded): (Vec<&Layout>, Vec<&Layout>) =
        layouts.iter().partition(|layout| layout.refuse.is_some());
    let mut datasets: Vec<&str> = loaded.iter().map(|layout| layout.dataset.name).collect();
    datasets.dedup();
    let mut seen: Vec<&str> = Vec::new();
    for dataset in datasets {
        if seen.contains(&dataset) {
            continue;
        }
        seen.push(dataset);
        let own: Vec<&&Layout> = loaded.iter().filter(|l| l.dataset.name == dataset).collect();
        section(&mut text, dataset, &own);
    }
    if !refused.is_empty() {
        text.push_str("\n## Not loaded\n\n| files | why |\n|---|---|\n");
        for layout in refused {
            let why = layout.refuse.as_deref().unwrap_or_default();
            let _ = writeln!(text, "| {} | {} |", cell(&layout.title), cell(why));
        }
    }
    text
}

fn section(text: &mut String, dataset: &str, layouts: &[&&Layout]) {
    let _ = write!(
        text,
        "\n## {dataset}\n\n\
         | layout | files | header | symbol | interval | times | zone |\n\
         |---|---|---|---|---|---|---|\n"
    );
    for layout in layouts {
        let cells = [
            format!("`{}`", layout.name),
            cell(&layout.title),
            header(layout).to_owned(),
            fact(layout, "symbol"),
            fact(layout, "interval"),
            times(layout),
            zone(layout),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    for layout in layouts {
        let _ = write!(text, "\n### {}\n\n{}.", layout.name, layout.title);
        if let Some(example) = &layout.facts.example {
            let must = match layout.recognise.by_name {
                true => " A file must be called like it.",
                false => "",
            };
            let _ = write!(text, " Called like `{example}`.{must}");
        }
        text.push('\n');
        for (at, note) in layout.notes.iter().enumerate() {
            let _ = write!(text, "{}- {note}", if at == 0 { "\n" } else { "" });
            text.push('\n');
        }
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn header(layout: &Layout) -> &'static str {
    match (layout.format, layout.text.header) {
        (Format::Parquet, _) => "Parquet",
        (_, HeaderRule::None) => "none",
        (_, HeaderRule::Optional) => "some files",
        (_, HeaderRule::Positional | HeaderRule::Required) => "yes",
    }
}

/// Where a fact comes from.
fn fact(layout: &Layout, fact: &str) -> String {
    let names = layout.facts.names.iter().chain(&layout.facts.paths);
    let mut told: Vec<&str> = Vec::new();
    let mut ways = layout.columns.iter().filter(|rule| rule.column.name == fact);
    if ways.any(|rule| !rule.ways.is_empty()) {
        told.push("column");
    }
    let times = layout.columns.iter().flat_map(|rule| &rule.ways);
    if fact == "interval" && times.clone().any(|way| way.interval.is_some()) {
        told.push("form of the times");
    }
    let group = |pattern: &Pattern| pattern.tells(fact);
    if layout.facts.lines.iter().any(group) {
        told.push("header lines");
    }
    if layout.facts.keys.iter().any(|(known, _)| known == fact) {
        told.push("keys around the records");
    }
    if names.clone().any(group) {
        told.push("name");
    }
    if layout.facts.rules.get(fact).is_some_and(|rule| rule.spacing) {
        told.push("time between the records");
    }
    let constant = layout.facts.rules.get(fact).and_then(|rule| rule.constant.as_deref());
    match (told.is_empty(), constant) {
        (_, Some(constant)) if told.is_empty() => constant.to_owned(),
        (true, _) => "flag".to_owned(),
        _ => told.join(", "),
    }
}

/// How times are written.
fn times(layout: &Layout) -> String {
    let mut forms: Vec<String> = Vec::new();
    for way in layout.columns.iter().flat_map(|rule| &rule.ways) {
        if way.time.is_none() {
            continue;
        }
        let form = match way.time_text.as_str() {
            "auto" => "ISO or epoch".to_owned(),
            "epoch" => "epoch".to_owned(),
            "local_epoch" => "epoch of the local clock".to_owned(),
            "ms_of_day" => "milliseconds of the day".to_owned(),
            pattern => format!("`{pattern}`"),
        };
        let joined = matches!(way.source, WaySource::JoinNames(..) | WaySource::JoinAt(..));
        let form = if joined { format!("{form} in two fields") } else { form };
        let form =
            if way.stamp != Stamp::Start { format!("{form} of the bar's end") } else { form };
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    if forms.len() > 4 {
        forms.truncate(3);
        forms.push("and others with the year first".to_owned());
    }
    forms.join(", ")
}

fn zone(layout: &Layout) -> String {
    layout.facts.zone.as_ref().map_or_else(|| "`--tz`".to_owned(), |zone| zone.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::registry;

    #[test]
    fn the_page_of_layouts_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/layouts.md");
        let made = document(registry().unwrap());
        if std::env::var_os("TIDEGATE_WRITE_DOCS").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == made, "docs/layouts.md is old: run this test with TIDEGATE_WRITE_DOCS=1");
    }

    #[test]
    fn every_layout_has_a_title() {
        for layout in registry().unwrap() {
            assert!(!layout.title.is_empty(), "{}", layout.name);
        }
    }
}
