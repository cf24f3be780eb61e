//! A target table as the catalogue describes it, reduced to what encoding and checking need, so
//! that neither of them knows a database.

/// In the metadata of a batch's field: its texts were found to be JSON when they were decoded, so
/// that nobody reads them again for that. Its value is not looked at.
pub const CHECKED_JSON: &str = "checked_json";

/// A PostgreSQL type that values can be sent to in binary form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PgType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`, with `(precision, scale)` if the column has them
    Numeric(Option<(u16, i16)>),
    /// `text`, `varchar` or `char`, with the greatest length in characters if the column has one
    Text(Option<u32>),
    /// `timestamp with time zone`: microseconds from 2000-01-01 UTC on the wire
    Timestamptz,
    /// `timestamp without time zone`: filled with the UTC reading
    Timestamp,
    /// `date`: filled with the UTC day
    Date,
    /// `json`: the text as it is
    Json,
    /// `jsonb`: parsed by the server
    Jsonb,
    /// `uuid`
    Uuid,
}

impl PgType {
    /// The type's name in DDL, without length or precision: what a staging table uses, so that a
    /// value too long or too precise is refused by the target and not by the staging table.
    pub fn ddl(self) -> &'static str {
        match self {
            PgType::Bool => "boolean",
            PgType::Int2 => "smallint",
            PgType::Int4 => "integer",
            PgType::Int8 => "bigint",
            PgType::Float4 => "real",
            PgType::Float8 => "double precision",
            PgType::Numeric(_) => "numeric",
            PgType::Text(_) => "text",
            PgType::Timestamptz => "timestamptz",
            PgType::Timestamp => "timestamp",
            PgType::Date => "date",
            PgType::Json => "json",
            PgType::Jsonb => "jsonb",
            PgType::Uuid => "uuid",
        }
    }

    /// What makes two values of the type comparable when it follows an expression: `json` has no
    /// equality of its own, its text has.
    pub fn comparable(self) -> &'static str {
        match self {
            PgType::Json => "::text",
            _ => "",
        }
    }
}

/// One column of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// The column's name, as stored (not quoted).
    pub name: String,
    /// Its base type (a domain's underlying type). `None`: a type that cannot be filled.
    pub pg_type: Option<PgType>,
    /// The type as `format_type` prints it, for messages.
    pub type_name: String,
    /// Whether NULL is refused.
    pub not_null: bool,
    /// Whether the server fills it when it is not sent: a default, an identity.
    pub has_default: bool,
    /// Whether it may not be sent at all: generated columns, `GENERATED ALWAYS` identities.
    pub generated: bool,
}

/// The time ranges that a partitioned target accepts: half-open, in microseconds from 1970 UTC,
/// sorted and disjoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeRanges {
    /// Each `[from, to)`.
    pub ranges: Vec<(i64, i64)>,
}

impl TimeRanges {
    /// Whether some range holds `ts_us`.
    pub fn contains(&self, ts_us: i64) -> bool {
        let at = self.ranges.partition_point(|range| range.0 <= ts_us);
        at > 0 && ts_us < self.ranges[at - 1].1
    }

    /// Whether one range, or several that touch, hold all of `[min_us, max_us]`.
    pub fn covers(&self, min_us: i64, max_us: i64) -> bool {
        let mut need = min_us;
        for &(from, to) in &self.ranges {
            if to <= need {
                continue;
            }
            if from > need {
                return false;
            }
            if to > max_us {
                return true;
            }
            need = to;
        }
        false
    }
}

/// How a partitioned target is partitioned, as far as the loader uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioning {
    /// The time column of a one-column range partitioning; `None` for every other kind, whose
    /// routing is left to the server.
    pub time_column: Option<String>,
    /// What the partitions accept. Meaningless when `time_column` is `None`.
    pub accepted: TimeRanges,
    /// Whether there is a default partition, which accepts everything.
    pub has_default: bool,
}

/// A target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTable {
    /// Schema, as stored.
    pub schema: String,
    /// Name, as stored.
    pub name: String,
    /// The table's OID: tells a table that was dropped and made again.
    pub oid: u32,
    /// Columns in table order.
    pub columns: Vec<TargetColumn>,
    /// Column names of the primary key, else of the first unique index that could serve; empty if
    /// there is none.
    pub key: Vec<String>,
    /// How it is partitioned, if it is.
    pub partitioning: Option<Partitioning>,
    /// Whether row security applies to the current role: COPY is refused then.
    pub row_security: bool,
    /// Whether it has BEFORE row triggers, which may swallow or change rows.
    pub before_triggers: bool,
    /// Whether it is unlogged: refused, for the ledger would outlive it.
    pub unlogged: bool,
}

impl TargetTable {
    /// `schema.table` quoted for SQL.
    pub fn sql_name(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.name))
    }

    /// `schema.table` for people.
    pub fn display_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The column called `name` (exact).
    pub fn column(&self, name: &str) -> Option<&TargetColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// An identifier quoted for SQL, whatever it holds.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(quote_identifier(r#"a"b; DROP"#), r#""a""b; DROP""#);
    }

    #[test]
    fn time_ranges_hold_and_cover() {
        let ranges = TimeRanges { ranges: vec![(0, 10), (10, 20), (30, 40)] };
        assert!(ranges.contains(0) && ranges.contains(19) && !ranges.contains(20));
        assert!(ranges.covers(5, 19) && !ranges.covers(5, 20) && !ranges.covers(15, 30));
        assert!(ranges.covers(30, 39) && !ranges.covers(-1, 5));
    }
}
