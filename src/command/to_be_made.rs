//! Tables of ours before their migrations, as far as a plan needs to know them.

use crate::column::{Partitioning, PgType, TargetColumn, TargetTable, TimeRanges};
use crate::dataset::{self, Dataset};
use crate::mapping::ValueKind;

/// A column of ours before its migration.
fn column_to_be_made(column: &dataset::Column) -> TargetColumn {
    let (pg_type, type_name) = match column.kind {
        ValueKind::Time => (PgType::Timestamptz, "timestamptz"),
        ValueKind::Integer => (PgType::Int8, "bigint"),
        ValueKind::Float => (PgType::Float8, "double precision"),
        ValueKind::Decimal => (PgType::Numeric(None), "numeric"),
        ValueKind::Bool => (PgType::Bool, "boolean"),
        ValueKind::Date => (PgType::Date, "date"),
        ValueKind::Json => (PgType::Jsonb, "jsonb"),
        ValueKind::Word | ValueKind::Text => (PgType::Text(None), "text"),
    };
    TargetColumn {
        name: column.name.to_owned(),
        pg_type: Some(pg_type),
        type_name: type_name.to_owned(),
        not_null: column.required || column.default.is_some(),
        has_default: column.default.is_some(),
        generated: false,
    }
}

/// A child table of ours before its migration.
pub(super) fn child_to_be_made(child: &dataset::Child) -> TargetTable {
    TargetTable {
        schema: child.table.schema.to_owned(),
        name: child.table.name.to_owned(),
        oid: 0,
        columns: child.columns.iter().map(column_to_be_made).collect(),
        key: Vec::new(),
        partitioning: None,
        row_security: false,
        before_triggers: false,
        unlogged: false,
    }
}

/// A dataset's own table before its migration: enough to plan with.
pub(super) fn to_be_made(dataset: &Dataset) -> TargetTable {
    let name_of = |column: &str| match dataset.ticker {
        Some(ticker) if ticker == column => "ticker_id".to_owned(),
        _ => column.to_owned(),
    };
    let column = |column: &dataset::Column| {
        let made = column_to_be_made(column);
        if dataset.ticker != Some(column.name) {
            return made;
        }
        let (pg_type, type_name) = (Some(PgType::Int4), "integer".to_owned());
        TargetColumn { name: name_of(column.name), pg_type, type_name, ..made }
    };
    let filled = dataset.position.into_iter().flat_map(|position| [position.content, position.row]);
    let filled = filled.map(|name| TargetColumn {
        name: name.to_owned(),
        pg_type: Some(PgType::Int8),
        type_name: "bigint".to_owned(),
        not_null: true,
        has_default: true,
        generated: false,
    });
    TargetTable {
        schema: dataset.table.schema.to_owned(),
        name: dataset.table.name.to_owned(),
        oid: 0,
        columns: dataset.columns.iter().map(column).chain(filled).collect(),
        key: dataset.key.iter().map(|name| name_of(name)).collect(),
        partitioning: dataset.partitioned.then(|| Partitioning {
            time_column: dataset.time.map(str::to_owned),
            accepted: TimeRanges::default(),
            has_default: false,
        }),
        row_security: false,
        before_triggers: false,
        unlogged: false,
    }
}
