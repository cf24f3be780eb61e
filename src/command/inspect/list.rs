//! Many contents in one list: a line each, and the first of each layout in full.

use std::collections::BTreeSet;

use super::known::Known;
use super::show::{given_words, instant, word};
use super::subject::{Subject, layout_word};
use super::{InspectRequest, Inspected};
use crate::layout::Recognised;
use crate::report::human;
use crate::report::list::{Cell, Grid};

/// Lines of the list.
const LINES_MAX: usize = 200;

/// A content as a line of a list.
#[derive(Debug)]
pub(super) struct Listed {
    name: String,
    bytes: Option<u64>,
    /// What is the same for contents of one kind: layout and dataset, if it is known.
    layout: Option<(String, String)>,
    records: Option<(u64, bool)>,
    range_us: Option<(i64, i64)>,
    rejected: u64,
    why: String,
}

impl Listed {
    pub fn known(subject: &Subject, recognised: &Recognised, known: &Known) -> Self {
        Self {
            name: subject.name.clone(),
            bytes: subject.bytes,
            layout: Some((recognised.layout.clone(), recognised.dataset.clone())),
            records: Some((known.records, known.whole)),
            range_us: known.range_us,
            rejected: known.rejected(),
            why: String::new(),
        }
    }

    /// A content that is not known, and the first line of why.
    pub fn not(subject: &Subject, why: &str) -> Self {
        Self {
            name: subject.name.clone(),
            bytes: subject.bytes,
            layout: None,
            records: None,
            range_us: None,
            rejected: 0,
            why: short(why),
        }
    }
}

/// Why a content is not known, in a line: the first that is not about what it is called.
fn short(why: &str) -> String {
    let lines = why.lines().map(str::trim);
    let told = lines.clone().find(|line| !line.starts_with("no layout recognises"));
    told.or(lines.clone().next()).unwrap_or_default().to_owned()
}

/// The list of all, then the first of each layout in full, then the command that loads all.
pub(super) fn text(request: &InspectRequest, all: &[Inspected]) -> String {
    let headers = ["source", "size", "layout", "dataset", "records", "from", "to", "rejects"];
    let mut grid = Grid::new(headers).right(&[1, 4, 7]).paths(&[0]);
    for one in all.iter().take(LINES_MAX) {
        let Listed { name, bytes, layout, records, range_us, rejected, .. } = &one.listed;
        let (layout, dataset) = layout.clone().unwrap_or(("not recognised".into(), String::new()));
        let records = records.map(|(count, whole)| {
            if whole { human::count(count) } else { format!("{}+", human::count(count)) }
        });
        let (from, to) =
            range_us.map(|(from, to)| (instant(from), instant(to))).unwrap_or_default();
        grid.push([
            Cell::from(name.clone()),
            bytes.map_or_else(Cell::missing, |bytes| Cell::shown(human::size(bytes), bytes)),
            Cell::from(layout),
            Cell::from(dataset),
            Cell::from(records.unwrap_or_default()),
            Cell::from(from),
            Cell::from(to),
            Cell::from(*rejected),
        ]);
    }
    let mut out = grid.render(0, false);
    if all.len() > LINES_MAX {
        let more = human::count((all.len() - LINES_MAX) as u64);
        out.push_str(&format!("... and {more} more; --json has them\n"));
    }
    let (mut seen, mut strange) = (BTreeSet::new(), 0);
    for one in all {
        match &one.listed.layout {
            Some(layout) if seen.insert(layout) => out.push_str(&format!("\n{}", one.text)),
            Some(_) => {}
            None => strange += 1,
        }
    }
    if seen.is_empty() {
        // Nobody knows any of them: the first may be typical.
        all.iter().take(1).for_each(|one| out.push_str(&format!("\n{}", one.text)));
        return out;
    }
    if strange > 0 {
        let sources = human::plural(strange, "source");
        out.push_str(&format!(
            "\n{sources} not recognised; inspect one by itself to see what it looks like:\n"
        ));
        for one in all.iter().filter(|one| one.listed.layout.is_none()).take(5) {
            let Listed { name, why, .. } = &one.listed;
            let why = why.strip_prefix(name.as_str()).unwrap_or(why).trim_start_matches([':', ' ']);
            out.push_str(&format!("  {name}: {why}\n"));
        }
    }
    let inputs: Vec<String> = request.inputs.iter().map(|input| word(input)).collect();
    let layout = request.layout.as_ref().map(|layout| format!(" --layout {}", layout_word(layout)));
    out.push_str(&format!(
        "\nload what is recognised: tidegate backfill {}{}{}\n",
        inputs.join(" "),
        layout.unwrap_or_default(),
        given_words(&request.facts)
    ));
    out
}
