//! Records that are shown as JSON objects, because their source has columns and no bytes of a
//! record (Parquet): an object becomes one line of delimited text, in the order of the mapping's
//! columns, which is then read like any other.
//!
//! A record that was refused while it was read has the source's names for keys; one that was
//! refused later has the batch's, and times as the batch showed them. Both are understood.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::decode::TimeParser;
use crate::mapping::{
    FieldSource, MappedColumn, Mapping, TextShape, TimeFormat, TimeRule, ValueKind,
};

use super::super::recipe::Recipe;

/// Turns objects into lines.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    recipe: &'a Recipe,
    /// For columns whose times are written by a pattern.
    parsers: Vec<Option<TimeParser>>,
}

impl<'a> Objects<'a> {
    pub fn new(recipe: &'a Recipe) -> Self {
        let parser = |column: &MappedColumn| {
            let rule = column.time.as_ref();
            rule.filter(|rule| matches!(rule.format, TimeFormat::Pattern(_))).map(TimeParser::new)
        };
        Self { recipe, parsers: recipe.mapping.columns.iter().map(parser).collect() }
    }

    /// How the lines are to be read.
    pub fn reading(recipe: &Recipe) -> (Mapping, TextShape) {
        let mut mapping = recipe.mapping.clone();
        for (at, column) in mapping.columns.iter_mut().enumerate() {
            if !matches!(column.source, FieldSource::Constant(_)) {
                column.source = FieldSource::Field(at);
            }
            // Such are shown as what they mean.
            column.rewrite.take_if(|rewrite| rewrite.is_spelling());
            if let Some(TimeRule { format, before_us, .. }) = &mut column.time {
                // Times of a pattern are shown as the instants that they mean.
                if matches!(format, TimeFormat::Pattern(_)) {
                    *before_us = 0;
                }
                *format = TimeFormat::Auto;
            }
        }
        let fields = mapping.columns.len();
        let shape = TextShape {
            delimiter: b',',
            quote: b'"',
            head_lines: 0,
            header: None,
            header_bytes: Vec::new(),
            fields_min: fields,
            fields_max: fields,
            nulls: mapping.nulls.clone(),
        };
        (mapping, shape)
    }

    /// The ticker's id, if the record has it and not its symbol.
    pub fn ticker_id(&self, record: &[u8]) -> Option<i32> {
        let tickers = self.recipe.tickers.as_ref()?;
        let object: Map<String, Value> = serde_json::from_slice(record).ok()?;
        if self.values_of(tickers.column, &object).is_some() {
            return None;
        }
        as_text(object.get(&tickers.id_name)?).ok()?.parse().ok()
    }

    /// The line of an object, without its end; `symbols` are those of ticker ids.
    pub fn line(
        &mut self,
        record: &[u8],
        symbols: &HashMap<i32, String>,
    ) -> Result<Vec<u8>, String> {
        let object: Map<String, Value> =
            serde_json::from_slice(record).map_err(|error| format!("no JSON object: {error}"))?;
        let symbol = self.ticker_id(record).and_then(|id| symbols.get(&id));
        let mut line = Vec::new();
        for at in 0..self.recipe.mapping.columns.len() {
            let column = &self.recipe.mapping.columns[at];
            let is_ticker = self.recipe.tickers.as_ref().is_some_and(|t| t.column == at);
            let mut text = match (self.values_of(at, &object), symbol) {
                (None, Some(symbol)) if is_ticker => symbol.clone(),
                (values, _) => join(values.unwrap_or_default())
                    .map_err(|why| format!("column {}: {why}", column.name))?,
            };
            if let Some(parser) = &mut self.parsers[at]
                && let Some(plain) = plain_time(parser, column.kind, &text)
            {
                text = plain;
            }
            if at > 0 {
                line.push(b',');
            }
            line.push(b'"');
            line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            line.push(b'"');
        }
        Ok(line)
    }

    /// The values of the mapping's column `at`: by the names of the source's columns, else by its
    /// own, else by its target's. `None`: the record has none of them.
    fn values_of<'o>(&self, at: usize, object: &'o Map<String, Value>) -> Option<Vec<&'o Value>> {
        let column = &self.recipe.mapping.columns[at];
        let named = |position: &usize| object.get(self.recipe.fields.get(*position)?);
        let of_source = match &column.source {
            FieldSource::Field(one) => named(one).map(|value| vec![value]),
            FieldSource::Joined(one, two) => {
                let values: Vec<&Value> = [one, two].into_iter().filter_map(named).collect();
                (values.len() == 2).then_some(values)
            }
            FieldSource::Constant(_) => return Some(Vec::new()),
        };
        let by_name = |name: &String| object.get(name).map(|value| vec![value]);
        let target =
            self.recipe.targets.get(at).filter(|_| {
                self.recipe.tickers.as_ref().is_none_or(|tickers| tickers.column != at)
            });
        of_source.or_else(|| by_name(&column.name)).or_else(|| by_name(target?))
    }
}

fn join(values: Vec<&Value>) -> Result<String, String> {
    let texts: Vec<String> = values.into_iter().map(as_text).collect::<Result<_, _>>()?;
    Ok(texts.join(" ").trim().to_owned())
}

fn as_text(value: &Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) | Value::Object(_) => Err("a value with parts has no place".to_owned()),
    }
}

/// A time that is written by the pattern in a form that needs none. `None`: it is not.
fn plain_time(parser: &mut TimeParser, kind: ValueKind, text: &str) -> Option<String> {
    if kind == ValueKind::Date {
        let days = parser.parse_date(text.as_bytes()).ok()?;
        let epoch = jiff::civil::date(1970, 1, 1);
        return epoch
            .checked_add(jiff::Span::new().try_days(days).ok()?)
            .ok()
            .map(|d| d.to_string());
    }
    let ts = jiff::Timestamp::from_microsecond(parser.parse(text.as_bytes()).ok()?).ok()?;
    Some(ts.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Quirks, Zone};
    use crate::pipeline::Tickers;

    fn recipe() -> Recipe {
        let column = |name: &str, source, kind, format: Option<&str>| MappedColumn {
            name: name.to_owned(),
            source,
            kind,
            rewrite: None,
            time: format.map(|format| {
                TimeRule::new(TimeFormat::parse(format).unwrap(), Zone::Fixed(-18_000))
            }),
            required: true,
        };
        let columns = vec![
            column("symbol", FieldSource::Field(3), ValueKind::Word, None),
            column("interval", FieldSource::Constant("1m".to_owned()), ValueKind::Word, None),
            column("ts", FieldSource::Joined(0, 1), ValueKind::Time, Some("%d.%m.%Y %H:%M")),
            column("day", FieldSource::Field(0), ValueKind::Date, Some("%d.%m.%Y")),
            column("close", FieldSource::Field(2), ValueKind::Float, None),
        ];
        Recipe {
            shape: None,
            json: None,
            fields: ["Day", "Clock", "Last \"px\"", "Name"].map(str::to_owned).to_vec(),
            targets: ["ticker_id", "interval", "ts", "day", "price"].map(str::to_owned).to_vec(),
            mapping: Mapping {
                dataset: "bars".to_owned(),
                columns,
                time_column: Some(2),
                from_us: None,
                to_us: None,
                quirks: Quirks::default(),
                nulls: Vec::new(),
            },
            tickers: Some(Tickers {
                column: 0,
                id_name: "ticker_id".to_owned(),
                venue: String::new(),
            }),
            identity: None,
            no_check: Vec::new(),
            schema: "public".to_owned(),
            table: "t".to_owned(),
            makes_partitions: false,
            interval_column: None,
        }
    }

    fn line(record: &str) -> Result<String, String> {
        let recipe = recipe();
        let symbols = HashMap::from([(7, "B,\"C\"".to_owned())]);
        let line = Objects::new(&recipe).line(record.as_bytes(), &symbols)?;
        Ok(String::from_utf8(line).unwrap())
    }

    #[test]
    fn objects_become_lines() {
        let expected = r#""A","","2024-02-01T10:30:00Z","2024-02-01","1.5""#;
        let of_source =
            r#"{"Day":"01.02.2024","Clock":"05:30","Last \"px\"":1.5,"Name":"A","other":[1]}"#;
        assert_eq!(line(of_source).as_deref(), Ok(expected));
        let of_batch = r#"{"symbol":"A","interval":"1m","ts":"2024-02-01T10:30:00Z",
            "day":"2024-02-01","close":"1.5"}"#;
        assert_eq!(line(of_batch).as_deref(), Ok(expected));
        let of_target = r#"{"ticker_id":"7","ts":null,"price":true}"#;
        assert_eq!(line(of_target).as_deref(), Ok(r#""B,""C""","","","","true""#));
        assert!(line(r#"{"close":[1]}"#).unwrap_err().starts_with("column close"));
        assert!(line("A,1").unwrap_err().starts_with("no JSON object"));
    }

    #[test]
    fn ids_are_asked_for_only_where_there_is_no_symbol() {
        let recipe = recipe();
        let objects = Objects::new(&recipe);
        assert_eq!(objects.ticker_id(br#"{"ticker_id":7}"#), Some(7));
        assert_eq!(objects.ticker_id(br#"{"ticker_id":7,"symbol":"A"}"#), None);
        assert_eq!(objects.ticker_id(br#"{"close":7}"#), None);
        assert_eq!(objects.ticker_id(b"A,1"), None);
    }
}
