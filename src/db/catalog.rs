//! Reads a target table from the catalogue into [`TargetTable`]. It changes nothing and reads no
//! rows beyond asking whether there are any. The planner, writers and `doctor` call it.

use bytes::{BufMut, BytesMut};
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::column::{Partitioning, PgType, TargetColumn, TargetTable, quote_identifier};

use super::Connection;
use super::error::{DbError, Doing};
use super::partition;

/// Microseconds from 1970 to 2000, the epoch of PostgreSQL's wire format.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

/// Base types by OID; 1043 is `varchar`, 1042 `char(n)`. `citext` has no fixed OID.
const COLUMNS_SQL: &str = "\
WITH RECURSIVE typed AS (
    SELECT a.attnum, a.atttypid AS typid, a.atttypmod AS typmod, a.attnotnull AS not_null,
           false AS type_default
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT d.attnum, t.typbasetype, CASE WHEN d.typmod = -1 THEN t.typtypmod ELSE d.typmod END,
           d.not_null OR t.typnotnull, d.type_default OR t.typdefault IS NOT NULL
    FROM typed d JOIN pg_catalog.pg_type t ON t.oid = d.typid
    WHERE t.typtype = 'd'
)
SELECT a.attname::text, t.typname::text, t.typnamespace = 'pg_catalog'::regnamespace,
       d.typmod, d.not_null,
       a.atthasdef OR a.attidentity <> '' OR d.type_default,
       a.attgenerated <> '' OR a.attidentity = 'a',
       pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM typed d
JOIN pg_catalog.pg_type t ON t.oid = d.typid AND t.typtype <> 'd'
JOIN pg_catalog.pg_attribute a ON a.attrelid = $1 AND a.attnum = d.attnum
ORDER BY a.attnum";

/// TimescaleDB's own trigger only guards the root of a hypertable, and ours on orders leaves alone
/// what a load writes.
const TABLE_SQL: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text,
       pg_catalog.row_security_active(c.oid),
       EXISTS (SELECT 1 FROM pg_catalog.pg_trigger g
               JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
               WHERE g.tgtype & 3 = 3 AND g.tgtype & 20 <> 0 AND g.tgenabled IN ('O', 'A')
                 AND NOT (p.proname = 'insert_blocker'
                          AND p.pronamespace::regnamespace::text LIKE '\\_timescaledb%')
                 AND NOT (p.proname = 'set_updated_at' AND g.tgname = 'orders_set_updated_at')
                 AND (g.tgrelid = c.oid OR g.tgrelid IN
                     (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid))))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ";

/// A unique index serves as a key if no row can escape it; NULLs escape unless the index or the
/// columns forbid them. `indnullsnotdistinct` is new in 15, hence the detour by JSON.
const KEY_SQL: &str = "\
SELECT k.columns
FROM (
    SELECT i.indisprimary, x.relname::text AS name,
           (SELECT array_agg(a.attname::text ORDER BY u.ord)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, ord)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
            WHERE u.ord <= i.indnkeyatts) AS columns,
           coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false)
           OR NOT EXISTS (
            SELECT 1 FROM unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, ord)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
            WHERE u.ord <= i.indnkeyatts AND NOT a.attnotnull) AS total
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indisready
      AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
) k
ORDER BY k.indisprimary DESC, k.total DESC, cardinality(k.columns), k.name COLLATE \"C\"
LIMIT 1";

/// A name as a user writes it: `table`, `schema.table`, either part in double quotes. Parts
/// without quotes are folded to lower case, as the server does.
///
/// # Errors
/// [`DbError::Table`] if it is no name of one or two parts.
pub fn parse_table_name(text: &str) -> Result<(Option<String>, String), DbError> {
    let bad = || {
        DbError::Table(format!(
            "{text:?} is not a table name: write table, schema.table or \"Schema\".\"Table\""
        ))
    };
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = take_identifier(rest).ok_or_else(bad)?;
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return Err(bad()),
        }
    }
    let name = parts.pop().ok_or_else(bad)?;
    match parts.len() {
        0 => Ok((None, name)),
        1 => Ok((parts.pop(), name)),
        _ => Err(bad()),
    }
}

/// One identifier and what follows it.
fn take_identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let first = name.chars().next()?;
        return (!first.is_ascii_digit() && first != '$').then(|| (name.to_lowercase(), rest));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if chars.peek().is_some_and(|&(_, next)| next == '"') => {
                name.push('"');
                chars.next();
            }
            '"' => return (!name.is_empty()).then(|| (name, &quoted[at + 1..])),
            '\0' => return None,
            c => name.push(c),
        }
    }
    None
}

/// The table called `name` in `schema`, or on the search path without one; names are exact, not
/// folded. `None` if there is none.
///
/// # Errors
/// [`DbError::Table`] if it is a view, foreign table or the like; [`DbError::Server`].
pub async fn load_table(
    connection: &Connection,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<TargetTable>, DbError> {
    let wanted = match schema {
        Some(schema) => format!("{}.{}", quote_identifier(schema), quote_identifier(name)),
        None => quote_identifier(name),
    };
    let doing = || format!("reading the catalogue for table {wanted}");
    let sql = format!("{TABLE_SQL} pg_catalog.to_regclass($1)::oid");
    let row = connection.query_typed_opt(&sql, &[(&wanted, Type::TEXT)]).await.doing(doing())?;
    let Some(row) = row else { return Ok(None) };
    let kind: &str = row.try_get(3)?;
    refuse_kind(kind, &wanted)?;
    let persistence: &str = row.try_get(4)?;
    let oid: u32 = row.try_get(0)?;
    let columns = load_columns(connection, oid).await.doing(doing())?;
    let key = connection.query_typed_opt(KEY_SQL, &[(&oid, Type::OID)]).await.doing(doing())?;
    let partitioning = match kind {
        "p" => Some(load_partitioning(connection, oid).await?),
        _ => None,
    };
    Ok(Some(TargetTable {
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        oid,
        columns,
        key: key.map(|row| row.try_get(0)).transpose()?.unwrap_or_default(),
        partitioning,
        row_security: row.try_get(5)?,
        before_triggers: row.try_get(6)?,
        unlogged: persistence == "u",
    }))
}

fn refuse_kind(kind: &str, wanted: &str) -> Result<(), DbError> {
    let what = match kind {
        "r" | "p" => return Ok(()),
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        "S" => "a sequence",
        "i" | "I" => "an index",
        _ => "not a table",
    };
    Err(DbError::Table(format!("{wanted} is {what}: name a table to load into")))
}

async fn load_columns(
    connection: &Connection,
    oid: u32,
) -> Result<Vec<TargetColumn>, tokio_postgres::Error> {
    let rows = connection.query_typed(COLUMNS_SQL, &[(&oid, Type::OID)]).await?;
    rows.iter().map(read_column).collect()
}

fn read_column(row: &Row) -> Result<TargetColumn, tokio_postgres::Error> {
    Ok(TargetColumn {
        name: row.try_get(0)?,
        pg_type: pg_type(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?),
        not_null: row.try_get(4)?,
        has_default: row.try_get(5)?,
        generated: row.try_get(6)?,
        type_name: row.try_get(7)?,
    })
}

/// The type with this name, if values can be sent to it.
fn pg_type(name: &str, built_in: bool, typmod: i32) -> Option<PgType> {
    let length = || u32::try_from(typmod - 4).ok();
    if !built_in {
        return (name == "citext").then_some(PgType::Text(None));
    }
    Some(match name {
        "bool" => PgType::Bool,
        "int2" => PgType::Int2,
        "int4" => PgType::Int4,
        "int8" => PgType::Int8,
        "float4" => PgType::Float4,
        "float8" => PgType::Float8,
        "numeric" => PgType::Numeric(numeric_typmod(typmod)),
        "text" => PgType::Text(None),
        "varchar" | "bpchar" => PgType::Text(length()),
        "timestamptz" => PgType::Timestamptz,
        "timestamp" => PgType::Timestamp,
        "date" => PgType::Date,
        "json" => PgType::Json,
        "jsonb" => PgType::Jsonb,
        "uuid" => PgType::Uuid,
        _ => return None,
    })
}

/// Precision and scale; scale is a signed number of 11 bits since 15, and was never large before.
fn numeric_typmod(typmod: i32) -> Option<(u16, i16)> {
    if typmod < 4 {
        return None;
    }
    let bits = typmod - 4;
    let precision = u16::try_from((bits >> 16) & 0xffff).ok()?;
    let scale = i16::try_from(((bits & 0x7ff) ^ 1024) - 1024).ok()?;
    Some((precision, scale))
}

async fn load_partitioning(connection: &Connection, oid: u32) -> Result<Partitioning, DbError> {
    const SQL: &str = "\
SELECT p.partdefid <> 0,
       CASE WHEN p.partstrat = 'r' AND p.partnatts = 1 AND p.partattrs[0] > 0
             AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
            THEN a.attname::text END
FROM pg_catalog.pg_partitioned_table p
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
WHERE p.partrelid = $1";
    let row = connection
        .query_typed_one(SQL, &[(&oid, Type::OID)])
        .await
        .doing("reading how the table is partitioned")?;
    let has_default = row.try_get(0)?;
    let time_column: Option<String> = row.try_get(1)?;
    let accepted = match time_column {
        Some(_) => partition::read_ranges(connection, oid).await?,
        None => None,
    };
    Ok(match accepted {
        Some(accepted) => Partitioning { time_column, accepted, has_default },
        None => Partitioning { time_column: None, accepted: Default::default(), has_default },
    })
}

/// A point in time as a parameter: microseconds from 1970 UTC, for `timestamptz` and `timestamp`.
#[derive(Debug, Clone, Copy)]
struct Micros(i64);

impl ToSql for Micros {
    fn to_sql(
        &self,
        _ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_i64(match self.0 {
            // The server's infinities.
            i64::MIN | i64::MAX => self.0,
            us => us.saturating_sub(EPOCH_2000_US),
        });
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::TIMESTAMPTZ | Type::TIMESTAMP)
    }

    to_sql_checked!();
}

/// Whether the table holds no row that this role may see.
///
/// # Errors
/// [`DbError::Server`].
pub async fn table_is_empty(connection: &Connection, table: &TargetTable) -> Result<bool, DbError> {
    let sql = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", table.sql_name());
    let row = connection
        .query_typed_one(&sql, &[])
        .await
        .doing(format!("asking whether {} is empty", table.display_name()))?;
    Ok(row.try_get(0)?)
}

/// Whether the table has rows whose `time_column` is in `[from_us, to_us)`, in microseconds from
/// 1970 UTC; `i64::MIN` and `i64::MAX` leave a side open.
///
/// # Errors
/// [`DbError::Server`]; [`DbError::Table`] if the column is not a time.
pub async fn has_rows_between(
    connection: &Connection,
    table: &TargetTable,
    time_column: &str,
    from_us: i64,
    to_us: i64,
) -> Result<bool, DbError> {
    let parameter = match table.column(time_column).and_then(|column| column.pg_type) {
        Some(PgType::Timestamptz) => Type::TIMESTAMPTZ,
        Some(PgType::Timestamp | PgType::Date) => Type::TIMESTAMP,
        _ => {
            return Err(DbError::Table(format!(
                "{} has no time column {time_column:?}",
                table.display_name()
            )));
        }
    };
    let column = quote_identifier(time_column);
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {} WHERE {column} >= $1 AND {column} < $2)",
        table.sql_name()
    );
    let row = connection
        .query_typed_one(
            &sql,
            &[(&Micros(from_us), parameter.clone()), (&Micros(to_us), parameter)],
        )
        .await
        .doing(format!("asking whether {} has rows in the range", table.display_name()))?;
    Ok(row.try_get(0)?)
}

/// Whether the database has any relation of a user: not the system's, not an extension's, not
/// ours in schema `tidegate`, not a partition, and none of `ours` (as `schema.name`).
///
/// # Errors
/// [`DbError::Server`].
pub async fn has_user_tables(connection: &Connection, ours: &[String]) -> Result<bool, DbError> {
    const SQL: &str = "\
SELECT EXISTS (
    SELECT 1 FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND n.nspname || '.' || c.relname <> ALL ($1)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tidegate')
      AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i'))))";
    let row = connection
        .query_typed_one(SQL, &[(&ours, Type::TEXT_ARRAY)])
        .await
        .doing("asking whether the database is empty")?;
    Ok(row.try_get(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing;

    #[test]
    fn table_names_are_read_as_the_server_reads_them() {
        let parse = |text| parse_table_name(text).ok();
        let pair = |schema: &str, name: &str| Some((Some(schema.to_owned()), name.to_owned()));
        assert_eq!(parse("Bars"), Some((None, "bars".to_owned())));
        assert_eq!(parse("Public.Bars"), pair("public", "bars"));
        assert_eq!(parse(r#""My Schema"."a.""b""#), pair("My Schema", "a.\"b"));
        assert_eq!(parse(r#"s."T""#), pair("s", "T"));
        for bad in ["", ".", "a.", ".a", "a.b.c", "a b", "\"a", "\"\"", "1a", "a;drop", "a-b"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn types_keep_their_limits() {
        assert_eq!(pg_type("numeric", true, -1), Some(PgType::Numeric(None)));
        assert_eq!(
            pg_type("numeric", true, (10 << 16 | 4) + 4),
            Some(PgType::Numeric(Some((10, 4))))
        );
        let minus_two = (10 << 16 | (-2 & 0x7ff)) + 4;
        assert_eq!(pg_type("numeric", true, minus_two), Some(PgType::Numeric(Some((10, -2)))));
        assert_eq!(pg_type("varchar", true, 24), Some(PgType::Text(Some(20))));
        assert_eq!(pg_type("varchar", true, -1), Some(PgType::Text(None)));
        assert_eq!(pg_type("jsonb", true, -1), Some(PgType::Jsonb));
        assert_eq!(pg_type("jsonpath", true, -1), None);
        assert_eq!(pg_type("text", false, -1), None, "somebody's own type called text");
    }

    async fn load(connection: &Connection, name: &str) -> TargetTable {
        load_table(connection, None, name).await.unwrap().unwrap()
    }

    #[test]
    fn a_table_is_read_whole() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            connection
                .batch_execute(
                    "CREATE DOMAIN price AS numeric(12, 4) NOT NULL; \
                     CREATE DOMAIN fine_price AS price DEFAULT 0; \
                     CREATE SCHEMA \"My S\"; \
                     CREATE TABLE \"My S\".\"T\" ( \
                         id bigint GENERATED ALWAYS AS IDENTITY, \
                         gone int, \
                         p fine_price, \
                         name varchar(7) NOT NULL, \
                         fixed char(3) DEFAULT 'x', \
                         twice float8 GENERATED ALWAYS AS (1.0 * 2) STORED, \
                         at timestamptz(3), raw jsonb, place point, id2 uuid); \
                     ALTER TABLE \"My S\".\"T\" DROP COLUMN gone",
                )
                .await
                .unwrap();
            let missing = load_table(&connection, None, "T").await.unwrap();
            assert_eq!(missing, None, "not on the search path");
            let table = load_table(&connection, Some("My S"), "T").await.unwrap().unwrap();
            assert_eq!(table.display_name(), "My S.T");
            let shown: Vec<_> = table
                .columns
                .iter()
                .map(|c| (c.name.as_str(), c.pg_type, c.not_null, c.has_default, c.generated))
                .collect();
            let numeric = Some(PgType::Numeric(Some((12, 4))));
            assert_eq!(
                shown,
                [
                    ("id", Some(PgType::Int8), true, true, true),
                    ("p", numeric, true, true, false),
                    ("name", Some(PgType::Text(Some(7))), true, false, false),
                    ("fixed", Some(PgType::Text(Some(3))), false, true, false),
                    ("twice", Some(PgType::Float8), false, true, true),
                    ("at", Some(PgType::Timestamptz), false, false, false),
                    ("raw", Some(PgType::Jsonb), false, false, false),
                    ("place", None, false, false, false),
                    ("id2", Some(PgType::Uuid), false, false, false),
                ]
            );
            assert_eq!(table.columns[2].type_name, "character varying(7)");
            assert_eq!((table.key.len(), table.partitioning), (0, None));
            assert!(!table.row_security && !table.before_triggers && !table.unlogged);
        });
    }

    #[test]
    fn the_key_is_one_that_no_row_escapes() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            connection
                .batch_execute(
                    "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int, d int NOT NULL, \
                                     UNIQUE (d) DEFERRABLE); \
                     CREATE UNIQUE INDEX t1 ON t (c); \
                     CREATE UNIQUE INDEX t2 ON t (a) WHERE b > 0; \
                     CREATE UNIQUE INDEX t3 ON t ((a + 1)); \
                     CREATE UNIQUE INDEX t4 ON t (b, a) INCLUDE (c)",
                )
                .await
                .unwrap();
            assert_eq!(load(&connection, "t").await.key, ["b", "a"]);
            connection.batch_execute("DROP INDEX t4").await.unwrap();
            assert_eq!(load(&connection, "t").await.key, ["c"]);
            connection.batch_execute("ALTER TABLE t ADD PRIMARY KEY (d, b, a)").await.unwrap();
            assert_eq!(load(&connection, "t").await.key, ["d", "b", "a"]);
        });
    }

    #[test]
    fn what_stands_in_the_way_is_seen() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            assert!(!has_user_tables(&connection, &[]).await.unwrap());
            connection
                .batch_execute(
                    "CREATE UNLOGGED TABLE u (a int); CREATE VIEW v AS SELECT 1; \
                     CREATE TABLE r (a int, d date); ALTER TABLE r ENABLE ROW LEVEL SECURITY; \
                     ALTER TABLE r FORCE ROW LEVEL SECURITY; \
                     CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql \
                         AS 'BEGIN RETURN NULL; END'; \
                     CREATE TRIGGER g BEFORE INSERT ON r FOR EACH ROW EXECUTE FUNCTION f(); \
                     CREATE ROLE plain_reader_of_a_test; \
                     GRANT SELECT ON r TO plain_reader_of_a_test",
                )
                .await
                .unwrap();
            assert!(has_user_tables(&connection, &[]).await.unwrap());
            let all = ["public.u", "public.v", "public.r"].map(str::to_owned);
            assert!(!has_user_tables(&connection, &all).await.unwrap());
            assert!(load(&connection, "u").await.unlogged);
            let error = load_table(&connection, None, "v").await.unwrap_err().to_string();
            assert!(error.contains("is a view"), "{error}");
            connection.batch_execute("SET ROLE plain_reader_of_a_test").await.unwrap();
            let table = load(&connection, "r").await;
            assert!(table.row_security && table.before_triggers);
            connection.batch_execute("RESET ROLE").await.unwrap();
            connection.batch_execute("ALTER TABLE r DISABLE TRIGGER g").await.unwrap();
            let table = load(&connection, "r").await;
            assert!(!table.row_security, "a superuser passes");
            assert!(!table.before_triggers);
            connection
                .batch_execute(
                    "DROP OWNED BY plain_reader_of_a_test; DROP ROLE plain_reader_of_a_test",
                )
                .await
                .unwrap();
        });
    }

    #[test]
    fn partitions_are_read_in_utc_whatever_the_session_says() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            connection
                .batch_execute(
                    "SET timezone = 'America/New_York'; SET datestyle = 'German'; \
                     CREATE TABLE p (ts timestamptz) PARTITION BY RANGE (ts); \
                     CREATE TABLE p1 PARTITION OF p \
                         FOR VALUES FROM ('1970-01-01Z') TO ('1970-01-02Z'); \
                     CREATE TABLE p2 PARTITION OF p DEFAULT; \
                     CREATE TABLE l (ts date) PARTITION BY LIST (ts); \
                     CREATE TABLE s (ts date) PARTITION BY RANGE (ts); \
                     CREATE TABLE s1 PARTITION OF s FOR VALUES FROM ('1970-01-01') TO (MAXVALUE) \
                         PARTITION BY LIST (ts)",
                )
                .await
                .unwrap();
            let p = load(&connection, "p").await.partitioning.unwrap();
            assert_eq!(p.time_column.as_deref(), Some("ts"));
            assert_eq!(p.accepted.ranges, [(0, 86_400_000_000)]);
            assert!(p.has_default);
            for name in ["l", "s"] {
                let other = load(&connection, name).await.partitioning.unwrap();
                assert_eq!((other.time_column, other.has_default), (None, false), "{name}");
            }
            let row = connection.query_typed_one("SHOW timezone", &[]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), "America/New_York", "the session is as it was");
        });
    }

    #[test]
    fn rows_in_a_range_are_found() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            connection
                .batch_execute("CREATE TABLE t (ts timestamptz, d date, n timestamp, x int)")
                .await
                .unwrap();
            let table = load(&connection, "t").await;
            assert!(table_is_empty(&connection, &table).await.unwrap());
            connection
                .batch_execute(
                    "SET timezone = 'Asia/Tokyo'; INSERT INTO t VALUES \
                     ('1970-01-01 00:00:01Z', '1970-01-02', '1970-01-01 00:00:01')",
                )
                .await
                .unwrap();
            assert!(!table_is_empty(&connection, &table).await.unwrap());
            let has = async |column, from, to| {
                has_rows_between(&connection, &table, column, from, to).await.unwrap()
            };
            for column in ["ts", "n"] {
                assert!(has(column, 1_000_000, 1_000_001).await, "{column}");
                assert!(!has(column, 0, 1_000_000).await, "{column}");
                assert!(has(column, i64::MIN, i64::MAX).await, "{column}");
            }
            assert!(has("d", 86_400_000_000, 86_400_000_001).await);
            assert!(!has("d", 86_400_000_001, i64::MAX).await);
            assert!(has_rows_between(&connection, &table, "x", 0, 1).await.is_err());
        });
    }
}
