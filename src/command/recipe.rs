//! The recipe of a load: all that is needed to read one of its records again without its source.
//! Stored as JSON with the load, so that a mended reject takes the same way into the table as its
//! neighbours did. Knows no database. `backfill` writes it, `rejects replay` reads it.
//!
//! The JSON has a version of its own. Text that JSON or the server cannot hold (bytes that are not
//! UTF-8, NUL) is written as hexadecimal digits; every recipe comes back as it was.

mod json;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mapping::{
    FieldSource, JsonShape, MappedColumn, Mapping, TextShape, TimeFormat, TimeItem, TimeRule,
    ValueKind, Zone,
};
use crate::pipeline::{Identity, Tickers};

use self::json::WireJson;
use self::text::WireShape;
use super::CommandError;
use super::recipe_rewrite::{WireQuirks, WireRewrite};

/// The version of the JSON that this program writes and reads.
const VERSION: u32 = 1;

/// How a load's records are read and where they go.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The shape of its delimited text. Without it and [`Recipe::json`] the source has columns
    /// (Parquet), and a reject is shown as a JSON object.
    pub shape: Option<TextShape>,
    /// The shape of its JSON.
    pub json: Option<JsonShape>,
    /// Names of the source's columns by position, where it has columns: the keys of a record that
    /// is shown as a JSON object. Else empty.
    pub fields: Vec<String>,
    /// From its fields to the batch's columns.
    pub mapping: Mapping,
    /// For each column of the mapping the name of the target's column, as stored.
    pub targets: Vec<String>,
    /// How its symbols become ids, if they do.
    pub tickers: Option<Tickers>,
    /// How its records without an id are known again, if they are.
    pub identity: Option<Identity>,
    /// Rules that were switched off, by name.
    pub no_check: Vec<String>,
    /// The target's schema, as stored.
    pub schema: String,
    /// The target's name, as stored.
    pub table: String,
    /// Whether partitions are made for the range that arrives.
    pub makes_partitions: bool,
    /// Position of a column of intervals that are spelled in the canonical way.
    pub interval_column: Option<usize>,
}

impl Recipe {
    /// The recipe as it is stored with a load.
    pub fn to_json(&self) -> Value {
        let columns = self.mapping.columns.iter().zip(&self.targets);
        let wire = Wire {
            recipe: VERSION,
            dataset: self.mapping.dataset.clone(),
            schema: Bytes::from(&self.schema),
            table: Bytes::from(&self.table),
            makes_partitions: self.makes_partitions,
            interval_column: self.interval_column,
            fields: self.fields.iter().map(Bytes::from).collect(),
            columns: columns.map(|(column, target)| WireColumn::of(column, target)).collect(),
            time_column: self.mapping.time_column,
            from_us: self.mapping.from_us,
            to_us: self.mapping.to_us,
            quirks: WireQuirks::of(&self.mapping.quirks),
            nulls: self.mapping.nulls.iter().map(Bytes::from).collect(),
            tickers: self.tickers.as_ref().map(WireTickers::of),
            identity: self.identity,
            no_check: self.no_check.clone(),
            shape: self.shape.as_ref().map(WireShape::of),
            json: self.json.as_ref().map(WireJson::of),
        };
        // Plain structs of texts and numbers: there is nothing in them that JSON could refuse.
        serde_json::to_value(wire).unwrap_or_default()
    }

    /// The recipe that a load was stored with.
    ///
    /// # Errors
    /// When it was written by another version of the program, or changed since.
    pub fn from_json(json: &Value) -> Result<Self, CommandError> {
        let version = json.get("recipe").and_then(Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            let found = version.map_or("none".to_owned(), |version| version.to_string());
            return Err(CommandError::Refused(format!(
                "the load's recipe has version {found} and this program reads version {VERSION}: \
                 replay with the program that loaded the file, or mend the file and load it again"
            )));
        }
        let refused = |why: String| {
            CommandError::Refused(format!(
                "the load's recipe cannot be read: {why}; mend the file and load it again"
            ))
        };
        let wire = Wire::deserialize(json).map_err(|error| refused(error.to_string()))?;
        wire.open().map_err(refused)
    }
}

/// Bytes as JSON: text where that is exact, else hexadecimal digits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Bytes {
    Text(String),
    Hex { hex: String },
}

impl Bytes {
    pub(super) fn from(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        match std::str::from_utf8(bytes) {
            // The server's jsonb holds no NUL.
            Ok(text) if !text.contains('\0') => Bytes::Text(text.to_owned()),
            _ => Bytes::Hex { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() },
        }
    }

    fn open(self) -> Result<Vec<u8>, String> {
        let hex = match self {
            Bytes::Text(text) => return Ok(text.into_bytes()),
            Bytes::Hex { hex } => hex,
        };
        let pairs = hex.as_bytes().chunks(2);
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        };
        pairs.map(byte).collect::<Option<_>>().ok_or_else(|| format!("{hex:?} is not hexadecimal"))
    }

    pub(super) fn text(self) -> Result<String, String> {
        String::from_utf8(self.open()?).map_err(|_| "a name is not UTF-8".to_owned())
    }

    fn byte(self) -> Result<u8, String> {
        match *self.open()? {
            [byte] => Ok(byte),
            _ => Err("a delimiter or quote is not one byte".to_owned()),
        }
    }
}

fn texts(texts: Vec<Bytes>) -> Result<Vec<String>, String> {
    texts.into_iter().map(Bytes::text).collect()
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    recipe: u32,
    dataset: String,
    schema: Bytes,
    table: Bytes,
    makes_partitions: bool,
    interval_column: Option<usize>,
    fields: Vec<Bytes>,
    columns: Vec<WireColumn>,
    time_column: Option<usize>,
    from_us: Option<i64>,
    to_us: Option<i64>,
    #[serde(default, skip_serializing_if = "WireQuirks::are_none")]
    quirks: WireQuirks,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nulls: Vec<Bytes>,
    tickers: Option<WireTickers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    no_check: Vec<String>,
    shape: Option<WireShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<WireJson>,
}

impl Wire {
    fn open(self) -> Result<Recipe, String> {
        let (mut columns, mut targets) = (Vec::new(), Vec::new());
        for column in self.columns {
            let (column, target) = column.open()?;
            columns.push(column);
            targets.push(target);
        }
        let tickers = self.tickers.map(WireTickers::open).transpose()?;
        let words = tickers.iter().map(|tickers| tickers.column).chain(self.interval_column);
        let words: Vec<usize> = words.collect();
        let identity = self.identity;
        let filled = identity.iter().flat_map(|i| [i.id, i.content, i.row]);
        let positions = self.time_column.into_iter().chain(words.iter().copied()).chain(filled);
        if let Some(outside) = positions.into_iter().find(|&at| at >= columns.len()) {
            return Err(format!("there is no column {outside}"));
        }
        if words.iter().any(|&at| columns[at].kind != ValueKind::Word) {
            return Err("its tickers or intervals are no words".to_owned());
        }
        if identity.is_some_and(|identity| columns[identity.id].kind != ValueKind::Text) {
            return Err("its ids are no texts".to_owned());
        }
        Ok(Recipe {
            shape: self.shape.map(WireShape::open).transpose()?,
            json: self.json.map(WireJson::open).transpose()?,
            fields: texts(self.fields)?,
            mapping: Mapping {
                dataset: self.dataset,
                columns,
                time_column: self.time_column,
                from_us: self.from_us,
                to_us: self.to_us,
                quirks: self.quirks.open()?,
                nulls: self.nulls.into_iter().map(Bytes::open).collect::<Result<_, _>>()?,
            },
            targets,
            tickers,
            identity,
            no_check: self.no_check,
            schema: self.schema.text()?,
            table: self.table.text()?,
            makes_partitions: self.makes_partitions,
            interval_column: self.interval_column,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTickers {
    column: usize,
    id_name: Bytes,
    venue: Bytes,
}

impl WireTickers {
    fn of(tickers: &Tickers) -> Self {
        let Tickers { column, id_name, venue } = tickers;
        Self { column: *column, id_name: Bytes::from(id_name), venue: Bytes::from(venue) }
    }

    fn open(self) -> Result<Tickers, String> {
        let (id_name, venue) = (self.id_name.text()?, self.venue.text()?);
        Ok(Tickers { column: self.column, id_name, venue })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireColumn {
    name: Bytes,
    target: Bytes,
    source: WireSource,
    kind: WireKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rewrite: Option<WireRewrite>,
    time: Option<WireTime>,
    required: bool,
}

impl WireColumn {
    fn of(column: &MappedColumn, target: &str) -> Self {
        Self {
            name: Bytes::from(&column.name),
            target: Bytes::from(target),
            source: match &column.source {
                FieldSource::Field(at) => WireSource::Field(*at),
                FieldSource::Joined(one, two) => WireSource::Joined(*one, *two),
                FieldSource::Constant(text) => WireSource::Constant(Bytes::from(text)),
            },
            kind: WireKind::of(column.kind),
            rewrite: column.rewrite.as_ref().map(WireRewrite::of),
            time: column.time.as_ref().map(WireTime::of),
            required: column.required,
        }
    }

    fn open(self) -> Result<(MappedColumn, String), String> {
        let column = MappedColumn {
            name: self.name.text()?,
            source: match self.source {
                WireSource::Field(at) => FieldSource::Field(at),
                WireSource::Joined(one, two) => FieldSource::Joined(one, two),
                WireSource::Constant(text) => FieldSource::Constant(text.text()?),
            },
            kind: self.kind.open(),
            rewrite: self.rewrite.map(WireRewrite::open).transpose()?,
            time: self.time.map(WireTime::open).transpose()?,
            required: self.required,
        };
        Ok((column, self.target.text()?))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireSource {
    Field(usize),
    Joined(usize, usize),
    Constant(Bytes),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireKind {
    Word,
    Text,
    Float,
    Decimal,
    Integer,
    Time,
    Date,
    Bool,
    Json,
}

impl WireKind {
    fn of(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Word => WireKind::Word,
            ValueKind::Text => WireKind::Text,
            ValueKind::Float => WireKind::Float,
            ValueKind::Decimal => WireKind::Decimal,
            ValueKind::Integer => WireKind::Integer,
            ValueKind::Time => WireKind::Time,
            ValueKind::Date => WireKind::Date,
            ValueKind::Bool => WireKind::Bool,
            ValueKind::Json => WireKind::Json,
        }
    }

    fn open(self) -> ValueKind {
        match self {
            WireKind::Word => ValueKind::Word,
            WireKind::Text => ValueKind::Text,
            WireKind::Float => ValueKind::Float,
            WireKind::Decimal => ValueKind::Decimal,
            WireKind::Integer => ValueKind::Integer,
            WireKind::Time => ValueKind::Time,
            WireKind::Date => ValueKind::Date,
            WireKind::Bool => ValueKind::Bool,
            WireKind::Json => ValueKind::Json,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTime {
    format: WireFormat,
    zone: WireZone,
    /// Absent where times are meant as they are written, as of programs that knew no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_us: Option<i64>,
}

impl WireTime {
    fn of(rule: &TimeRule) -> Self {
        Self {
            format: WireFormat::of(&rule.format),
            zone: WireZone::of(&rule.zone),
            before_us: Some(rule.before_us).filter(|before| *before != 0),
        }
    }

    fn open(self) -> Result<TimeRule, String> {
        let before_us = self.before_us.unwrap_or_default();
        Ok(TimeRule { before_us, ..TimeRule::new(self.format.open()?, self.zone.open()?) })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireFormat {
    Epoch,
    Auto,
    LocalEpoch,
    MillisOfDay(Option<i32>),
    /// As layouts write it.
    Pattern(String),
    /// A pattern that text cannot say exactly, element by element.
    Items(Vec<Bytes>),
}

impl WireFormat {
    pub(super) fn of(format: &TimeFormat) -> Self {
        let items = match format {
            TimeFormat::Epoch => return WireFormat::Epoch,
            TimeFormat::Auto => return WireFormat::Auto,
            TimeFormat::LocalEpoch => return WireFormat::LocalEpoch,
            TimeFormat::MillisOfDay(day) => return WireFormat::MillisOfDay(*day),
            TimeFormat::Pattern(items) => items,
        };
        let whole: Vec<u8> = items.iter().flat_map(|item| pattern_of(*item)).collect();
        match String::from_utf8(whole) {
            Ok(text) if !text.contains('\0') && TimeFormat::parse(&text).as_ref() == Ok(format) => {
                WireFormat::Pattern(text)
            }
            _ => {
                let items = items.iter().map(|item| Bytes::from(pattern_of(*item)));
                WireFormat::Items(items.collect())
            }
        }
    }

    pub(super) fn open(self) -> Result<TimeFormat, String> {
        match self {
            WireFormat::Epoch => Ok(TimeFormat::Epoch),
            WireFormat::Auto => Ok(TimeFormat::Auto),
            WireFormat::LocalEpoch => Ok(TimeFormat::LocalEpoch),
            WireFormat::MillisOfDay(day) => Ok(TimeFormat::MillisOfDay(day)),
            WireFormat::Pattern(text) => TimeFormat::parse(&text),
            WireFormat::Items(items) => {
                let items = items.into_iter().map(|item| item_of(&item.open()?));
                Ok(TimeFormat::Pattern(items.collect::<Result<_, _>>()?))
            }
        }
    }
}

fn pattern_of(item: TimeItem) -> Vec<u8> {
    let percent = |letter| vec![b'%', letter];
    match item {
        TimeItem::Year => percent(b'Y'),
        TimeItem::ShortYear => percent(b'y'),
        TimeItem::MonthName => percent(b'b'),
        TimeItem::Month => percent(b'm'),
        TimeItem::Day => percent(b'd'),
        TimeItem::Hour => percent(b'H'),
        TimeItem::Hour12 => percent(b'I'),
        TimeItem::Minute => percent(b'M'),
        TimeItem::Second => percent(b'S'),
        TimeItem::Fraction => percent(b'f'),
        TimeItem::MillisOfDay => percent(b'L'),
        TimeItem::AmPm => percent(b'p'),
        TimeItem::Offset => percent(b'z'),
        TimeItem::Literal(b'%') => percent(b'%'),
        TimeItem::Literal(byte) => vec![byte],
    }
}

fn item_of(bytes: &[u8]) -> Result<TimeItem, String> {
    let wrong =
        || format!("{:?} is no element of a time pattern", bytes.escape_ascii().to_string());
    if let [byte] = bytes {
        return Ok(TimeItem::Literal(*byte));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    match TimeFormat::parse(text)? {
        TimeFormat::Pattern(items) if items.len() == 1 => Ok(items[0]),
        _ => Err(wrong()),
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum WireZone {
    Name(String),
    /// An offset that its name would round.
    Offset {
        seconds_east: i32,
    },
}

impl WireZone {
    fn of(zone: &Zone) -> Self {
        let name = zone.name();
        match zone {
            Zone::Fixed(seconds) if Zone::parse(&name).as_ref() != Ok(zone) => {
                WireZone::Offset { seconds_east: *seconds }
            }
            _ => WireZone::Name(name),
        }
    }

    fn open(self) -> Result<Zone, String> {
        match self {
            WireZone::Name(name) => Zone::parse(&name),
            WireZone::Offset { seconds_east } => Ok(Zone::Fixed(seconds_east)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{JsonRecords, OccPart, Quirks, Rewrite, Sieve};

    fn column(
        name: &str,
        source: FieldSource,
        kind: ValueKind,
        time: Option<(TimeFormat, &str)>,
    ) -> MappedColumn {
        let time =
            time.map(|(format, zone)| TimeRule::new(format, Zone::parse(zone).expect("a zone")));
        MappedColumn {
            name: name.to_owned(),
            source,
            kind,
            rewrite: rewrite_of(name),
            time,
            required: kind != ValueKind::Bool,
        }
    }

    fn rewrite_of(name: &str) -> Option<Rewrite> {
        match name {
            "word" => Some(Rewrite::Words(vec![("D".to_owned(), "1d\0".to_owned())])),
            "decimal" => Some(Rewrite::Number { comma: false, scale: -5, thousands: Some(b',') }),
            "integer" => Some(Rewrite::Number { comma: true, scale: 9, thousands: None }),
            "fixed" => Some(Rewrite::Bytes { big_endian: true, scale: 16 }),
            "epoch" => Some(Rewrite::CutToMicros),
            "auto" => Some(Rewrite::Nanos),
            "odd" => Some(Rewrite::Occ(OccPart::Strike)),
            "ts" => Some(Rewrite::IsoDay(TimeFormat::Epoch)),
            _ => None,
        }
    }

    fn columns() -> Vec<MappedColumn> {
        let pattern =
            |text: &str| Some((TimeFormat::parse(text).expect("a pattern"), "America/New_York"));
        let every = "%Y-%m-%d %y%b %H.%I:%M:%S%f%p%z 100%% \u{e9}";
        let odd = vec![TimeItem::Year, TimeItem::Literal(0xff), TimeItem::Literal(b'%')];
        let epoch_spelt = "epoch".bytes().map(TimeItem::Literal).collect();
        let field = FieldSource::Field;
        vec![
            column("word", field(0), ValueKind::Word, None),
            column("te\0xt", FieldSource::Constant("a\0b".to_owned()), ValueKind::Text, None),
            column("float", FieldSource::Constant("1.5".to_owned()), ValueKind::Float, None),
            column("decimal", field(4_095), ValueKind::Decimal, None),
            column("integer", field(3), ValueKind::Integer, None),
            column("ts", FieldSource::Joined(1, 2), ValueKind::Time, pattern(every)),
            column("epoch", field(5), ValueKind::Time, Some((TimeFormat::Epoch, "UTC"))),
            column("local", field(6), ValueKind::Time, Some((TimeFormat::LocalEpoch, "UTC"))),
            column(
                "ms",
                field(6),
                ValueKind::Time,
                Some((TimeFormat::MillisOfDay(Some(15_987)), "America/New_York")),
            ),
            column("auto", field(6), ValueKind::Date, Some((TimeFormat::Auto, "UTC-5"))),
            column("odd", field(7), ValueKind::Time, Some((TimeFormat::Pattern(odd), "+05:30"))),
            column(
                "spelt",
                field(8),
                ValueKind::Time,
                Some((TimeFormat::Pattern(epoch_spelt), "Etc/UTC")),
            ),
            column("bool", field(9), ValueKind::Bool, None),
        ]
    }

    fn recipe() -> Recipe {
        let columns = columns();
        Recipe {
            shape: Some(TextShape {
                delimiter: 0xa6,
                quote: b'"',
                head_lines: 3,
                header: Some(vec!["Unix".to_owned(), "a\"b\0".to_owned()]),
                header_bytes: b"Unix,\xff\xfe".to_vec(),
                fields_min: 2,
                fields_max: 4_096,
                nulls: vec![b"-".to_vec(), b"\0".to_vec(), b"\xe9".to_vec(), Vec::new()],
            }),
            json: None,
            fields: vec!["Open time".to_owned(), "\0".to_owned()],
            targets: columns.iter().map(|column| format!("My {}", column.name)).collect(),
            mapping: Mapping {
                dataset: "bars".to_owned(),
                columns,
                time_column: Some(5),
                from_us: Some(i64::MIN),
                to_us: Some(i64::MAX),
                quirks: Quirks {
                    idle_skipped: true,
                    zero_untraded: false,
                    order: None,
                    sieve: Some(Sieve { field: 3, words: vec!["A*".to_owned()], takes: true }),
                },
                nulls: vec![b"-999".to_vec()],
            },
            tickers: Some(Tickers {
                column: 0,
                id_name: "ticker_id".to_owned(),
                venue: "kraken".to_owned(),
            }),
            no_check: vec!["high_low".to_owned()],
            identity: Some(Identity { id: 1, content: 4, row: 4, number: i64::MAX }),
            schema: "My.Schema".to_owned(),
            table: "Bars \"2\"".to_owned(),
            makes_partitions: true,
            interval_column: Some(0),
        }
    }

    /// Through the text that the database holds.
    fn round_trip(recipe: &Recipe) -> Recipe {
        let text = recipe.to_json().to_string();
        assert!(!text.contains("\\u0000"), "{text}");
        Recipe::from_json(&serde_json::from_str(&text).expect("JSON")).expect("a recipe")
    }

    #[test]
    fn a_recipe_comes_back_as_it_was() {
        let full = recipe();
        assert_eq!(round_trip(&full), full);
        let mut bare = recipe();
        bare.shape = None;
        bare.json = Some(JsonShape {
            records: JsonRecords::Array(vec!["data".to_owned(), "a\0b".to_owned()]),
            fields: vec![vec!["zkb".to_owned(), "1. open".to_owned()], vec!["0".to_owned()]],
            elements: Some((6, 8)),
            nulls: vec![b"\xff".to_vec()],
        });
        bare.tickers = None;
        bare.identity = None;
        bare.no_check.clear();
        bare.mapping.time_column = None;
        (bare.mapping.from_us, bare.mapping.to_us) = (None, None);
        bare.makes_partitions = false;
        bare.interval_column = None;
        assert_eq!(round_trip(&bare), bare);
        let mut plain = recipe();
        if let Some(shape) = &mut plain.shape {
            shape.header = None;
            shape.header_bytes.clear();
        }
        for (at, seconds) in [(5, 0), (6, -18_000), (7, 17), (8, 66_600), (9, -80_000)] {
            if let Some(time) = &mut plain.mapping.columns[at].time {
                time.zone = Zone::Fixed(seconds);
            }
        }
        assert_eq!(round_trip(&plain), plain);
    }

    #[test]
    fn people_can_read_it() {
        let json = recipe().to_json();
        assert_eq!(json["recipe"], 1);
        assert_eq!(json["columns"][5]["time"]["zone"], "America/New_York");
        let pattern = &json["columns"][5]["time"]["format"]["pattern"];
        assert_eq!(pattern, "%Y-%m-%d %y%b %H.%I:%M:%S%f%p%z 100%% \u{e9}");
        assert_eq!(json["columns"][7]["time"]["format"], "local_epoch");
        assert_eq!(json["columns"][9]["time"]["format"], "auto");
        assert_eq!(json["columns"][5]["source"]["joined"], serde_json::json!([1, 2]));
        assert_eq!(json["shape"]["nulls"][1]["hex"], "00");
    }

    #[test]
    fn what_is_no_recipe_is_refused() {
        let refused = |json: &Value| {
            let error = Recipe::from_json(json).expect_err("no recipe");
            assert!(error.to_string().contains("load"), "{error}");
        };
        refused(&Value::Null);
        let good = recipe().to_json();
        let changed = |path: &str, value: Value| {
            let mut json = good.clone();
            *json.pointer_mut(path).expect("it is there") = value;
            json
        };
        for (path, value) in [
            ("/recipe", 2.into()),
            ("/time_column", 99.into()),
            ("/tickers/column", 99.into()),
            ("/columns/0/kind", "image".into()),
            ("/columns/0/kind", "float".into()),
            ("/columns/5/time/zone", "Mars/Olympus".into()),
            ("/columns/5/time/format/pattern", "%Q".into()),
            ("/shape/delimiter", ";;".into()),
            ("/shape/nulls/1/hex", "0".into()),
            ("/columns/0/name", Value::Null),
        ] {
            refused(&changed(path, value));
        }
        let mut more = good.clone();
        more["colour"] = "red".into();
        refused(&more);
    }
}
