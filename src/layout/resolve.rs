//! From a layout's column rules and a file's field names to field positions.

use super::fit::Miss;
use super::model::{Layout, Way, WaySource};
use crate::dataset::Column;
use crate::mapping::{FieldSource, Rewrite, ValueKind};

/// A column with every way that this file offers, best first; never without one.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) column: &'static Column,
    pub(super) ways: Vec<(FieldSource, Way)>,
}

/// A field name reduced to what names are compared by: no case, no spaces.
pub(super) fn fold(name: &str) -> String {
    name.trim().to_lowercase().replace(' ', "_")
}

/// Columns by position: every rule has its field.
pub(super) fn by_position(layout: &Layout) -> Vec<Choice> {
    let source = |way: &Way| match way.source {
        WaySource::At(at) => Some(FieldSource::Field(at)),
        WaySource::JoinAt(date, time) => Some(FieldSource::Joined(date, time)),
        _ => None,
    };
    let choices = layout.columns.iter().map(|rule| Choice {
        column: rule.column,
        ways: rule.ways.iter().filter_map(|w| source(w).map(|s| (s, w.clone()))).collect(),
    });
    choices.filter(|choice| !choice.ways.is_empty()).collect()
}

/// Columns by the names of a header; with `types`, those of Parquet columns.
pub(super) fn by_name(
    layout: &Layout,
    names: &[String],
    types: Option<&[String]>,
) -> Result<Vec<Choice>, Miss> {
    let folded: Vec<String> = names.iter().map(|name| fold(name)).collect();
    let header = Header { names, folded: &folded, types };
    let mut choices = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    let (mut unclear, mut unclear_columns) = (None, 0);
    for rule in &layout.columns {
        let (mut ways, mut problem) = (Vec::new(), None);
        for way in &rule.ways {
            match header.find(rule.column, way) {
                Ok(Some(source)) => ways.push((source, way.clone())),
                Ok(None) => {}
                Err(reason) => problem = problem.or(Some(reason)),
            }
        }
        let needed =
            layout.needs(rule.column) || layout.recognise.require.contains(&rule.column.name);
        if !ways.is_empty() {
            choices.push(Choice { column: rule.column, ways });
        } else if let Some(reason) = problem {
            unclear = unclear.or(Some(reason));
            unclear_columns += 1;
        } else if needed {
            missing.push(missing_name(rule.column, &rule.ways));
        }
    }
    let progress = choices.len() + unclear_columns;
    if !missing.is_empty() {
        let reason = format!("its header has no field for {}", missing.join(", "));
        return Err(Miss { reason, progress });
    }
    unclear.map_or(Ok(choices), |reason| Err(Miss { reason, progress }))
}

/// The column, with the names looked for when they are not the column's own.
fn missing_name(column: &Column, ways: &[Way]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for way in ways {
        match &way.source {
            WaySource::Names(list) => names.extend(list.iter().map(String::as_str)),
            WaySource::Aliases => {
                names.push(column.name);
                names.extend(column.aliases);
            }
            WaySource::Pattern(..)
            | WaySource::JoinNames(..)
            | WaySource::JoinAt(..)
            | WaySource::At(_) => {}
        }
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(*name);
            true
        }
    });
    match names.as_slice() {
        [] => column.name.to_owned(),
        [only] if *only == column.name => column.name.to_owned(),
        many => format!("{} ({})", column.name, many.join(", ")),
    }
}

struct Header<'a> {
    names: &'a [String],
    folded: &'a [String],
    types: Option<&'a [String]>,
}

impl Header<'_> {
    /// The field that `way` finds for `column`, or the reason why it is unclear or of no use.
    fn find(&self, column: &Column, way: &Way) -> Result<Option<FieldSource>, String> {
        let at = match &way.source {
            WaySource::Names(list) => {
                let present = list.iter().map(|name| self.places(name));
                match present.into_iter().find(|places| !places.is_empty()) {
                    Some(places) => Some(self.only(column, &places)?),
                    None => None,
                }
            }
            WaySource::Aliases => self.alias(column)?,
            WaySource::Pattern(pattern, nth) => {
                let mut places =
                    (0..self.names.len()).filter(|at| pattern.is_match(&self.names[*at]));
                places.nth(*nth)
            }
            WaySource::JoinNames(date, time) => {
                let (dates, times) = (self.places(date), self.places(time));
                let ([date], [time]) = (dates.as_slice(), times.as_slice()) else {
                    return Ok(None);
                };
                return Ok(Some(FieldSource::Joined(*date, *time)));
            }
            WaySource::At(_) | WaySource::JoinAt(..) => None,
        };
        let Some(at) = at else { return Ok(None) };
        match self.types.map(|types| types[at].as_str()) {
            Some(kind) if !type_wanted(kind, way) => {
                Err(format!("its column {} is {kind}, which is no {}", self.names[at], column.name))
            }
            Some(kind) if type_opaque(kind) && !bytes_read(column, kind, way) => {
                Err(format!("its column {} is {kind}, which holds no plain values", self.names[at]))
            }
            _ => Ok(Some(FieldSource::Field(at))),
        }
    }

    /// The fields of this name, in any case; of several that differ in case the one that is
    /// written so.
    fn places(&self, name: &str) -> Vec<usize> {
        let folded = fold(name);
        let mut places: Vec<usize> =
            (0..self.folded.len()).filter(|at| self.folded[*at] == folded).collect();
        if places.len() > 1 {
            let exact = places.iter().filter(|at| self.names[**at].trim() == name);
            if let [only] = exact.copied().collect::<Vec<_>>().as_slice() {
                places = vec![*only];
            }
        }
        places
    }

    /// The column's own name wins; of its aliases there may be only one.
    fn alias(&self, column: &Column) -> Result<Option<usize>, String> {
        let own = self.places(column.name);
        if !own.is_empty() {
            return self.only(column, &own).map(Some);
        }
        let mut places: Vec<usize> =
            column.aliases.iter().flat_map(|alias| self.places(alias)).collect();
        places.sort_unstable();
        if places.is_empty() { Ok(None) } else { self.only(column, &places).map(Some) }
    }

    fn only(&self, column: &Column, places: &[usize]) -> Result<usize, String> {
        if let [at] = places {
            return Ok(*at);
        }
        let names: Vec<&str> = places.iter().map(|at| self.names[*at].as_str()).collect();
        Err(format!("its fields {} may each be {}", names.join(" and "), column.name))
    }
}

fn type_wanted(kind: &str, way: &Way) -> bool {
    let kind = kind.to_lowercase();
    way.types.is_empty() || way.types.iter().any(|start| kind.starts_with(&start.to_lowercase()))
}

/// Whether it is known what the bytes of a type mean: a text, or what the layout says.
fn bytes_read(column: &Column, kind: &str, way: &Way) -> bool {
    let text = matches!(column.kind, ValueKind::Word | ValueKind::Text);
    let said = matches!(way.rewrite, Some(Rewrite::Bytes { .. }));
    kind.to_lowercase().starts_with("fixedsizebinary") && (text || said)
}

/// Types that have no values of their own or whose bytes mean what only their writer knows.
fn type_opaque(kind: &str) -> bool {
    const OPAQUE: [&str; 8] = [
        "fixedsizebinary",
        "fixed_size_binary",
        "fixed_len_byte_array",
        "list",
        "largelist",
        "fixedsizelist",
        "struct",
        "map",
    ];
    let kind = kind.to_lowercase();
    OPAQUE.iter().any(|start| kind.starts_with(start))
}
