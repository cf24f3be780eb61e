//! Indexes that are built while others read and write: `CONCURRENTLY`, and on a partitioned table
//! partition by partition under an index of the parent that holds nothing itself. What an
//! interrupted build left is found by its name and finished or made anew. Called by migrations of
//! indexes and by `refresh`.

use tokio_postgres::types::Type;

use super::Migration;
use crate::column::quote_identifier;
use crate::db::error::{DbError, Doing};
use crate::db::{Connection, partition};

/// Tables of fewer bytes are indexed at once: it is over before anybody waits.
const BIG_TABLE_BYTES: i64 = 64 << 20;

/// `CREATE INDEX IF NOT EXISTS name ON table ...` in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexStatement {
    /// The index's name, a plain identifier.
    pub name: String,
    /// Its table, as `schema.table`.
    pub table: String,
    /// What follows the table.
    pub rest: String,
    /// Whether it is unique.
    pub unique: bool,
}

/// The statements of a migration that consists of indexes.
///
/// # Errors
/// [`DbError::Migration`] for any other statement.
pub fn parse(sql: &str) -> Result<Vec<IndexStatement>, DbError> {
    let code: Vec<&str> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let code = code.join(" ");
    code.split(';').map(str::trim).filter(|text| !text.is_empty()).map(parse_one).collect()
}

fn parse_one(text: &str) -> Result<IndexStatement, DbError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let unique = words.get(1) == Some(&"UNIQUE");
    let rest = words.get(if unique { 2 } else { 1 }..).unwrap_or_default();
    match rest {
        ["INDEX", "IF", "NOT", "EXISTS", name, "ON", table, rest @ ..]
            if words[0] == "CREATE" && !rest.is_empty() && !text.contains('\'') =>
        {
            Ok(IndexStatement {
                name: (*name).to_owned(),
                table: (*table).to_owned(),
                rest: rest.join(" "),
                unique,
            })
        }
        _ => {
            Err(DbError::Migration(format!("a migration of indexes has another statement: {text}")))
        }
    }
}

/// Whether a table that a migration indexes has so many rows that nobody should wait for it.
pub(super) async fn has_big_table(
    connection: &Connection,
    migration: &Migration,
) -> Result<bool, DbError> {
    const SQL: &str = "\
SELECT coalesce(sum(pg_relation_size(t.relid)), 0)::bigint
FROM unnest($1::text[]) AS names(name), pg_partition_tree(to_regclass(names.name)) t";
    let mut tables: Vec<String> = parse(migration.up)?.into_iter().map(|s| s.table).collect();
    tables.dedup();
    let row = connection
        .query_typed_one(SQL, &[(&tables, Type::TEXT_ARRAY)])
        .await
        .doing("asking how big the tables are")?;
    Ok(row.try_get::<_, i64>(0)? > BIG_TABLE_BYTES)
}

/// Builds one index without keeping writers out. Nothing happens if it is there and valid.
///
/// # Errors
/// The server's; what was built of it stays, and the next call goes on from there.
pub async fn build(connection: &Connection, index: &IndexStatement) -> Result<(), DbError> {
    let kind = connection
        .query_typed_opt(
            "SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = to_regclass($1)",
            &[(&index.table, Type::TEXT)],
        )
        .await?
        .ok_or_else(|| DbError::Migration(format!("there is no table {}", index.table)))?;
    if kind.try_get::<_, &str>(0)? == "p" {
        return on_partitions(connection, index).await;
    }
    let schema = index.table.split('.').next().unwrap_or("public");
    build_plain(connection, index, schema).await
}

/// [`build`] on a table that is known to have no partitions, in `schema`.
///
/// # Errors
/// As [`build`].
pub async fn build_plain(
    connection: &Connection,
    index: &IndexStatement,
    schema: &str,
) -> Result<(), DbError> {
    concurrently(connection, index, schema, &index.name, &index.table).await
}

/// An index of the parent alone, one of each partition, and the ones made parts of the other. A
/// partition that comes meanwhile brings its own.
async fn on_partitions(connection: &Connection, index: &IndexStatement) -> Result<(), DbError> {
    const BARE: &str = "\
SELECT p.oid::regclass::text, n.nspname::text, p.relname::text, p.relkind::text
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
WHERE i.inhparent = to_regclass($1) AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_inherits x JOIN pg_catalog.pg_index y ON y.indexrelid = x.inhrelid
    WHERE x.inhparent = to_regclass($2) AND y.indrelid = p.oid)
ORDER BY 1";
    let IndexStatement { name, table, rest, unique } = index;
    let schema = table.split('.').next().unwrap_or("public");
    let unique = if *unique { "UNIQUE " } else { "" };
    let doing = || format!("building index {name} on {table}");
    let sql = format!("CREATE {unique}INDEX IF NOT EXISTS {name} ON ONLY {table} {rest}");
    connection.batch_execute(&sql).await.doing(doing())?;
    let full_name = format!("{schema}.{name}");
    let rows = connection
        .query_typed(BARE, &[(table, Type::TEXT), (&full_name, Type::TEXT)])
        .await
        .doing(doing())?;
    for row in rows {
        let (part, part_schema): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (plain, kind): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        if kind == "p" {
            return Err(DbError::Migration(format!(
                "{part} is partitioned itself: build index {name} there and attach it to \
                 {full_name}"
            )));
        }
        let child = partition::fitting_name(plain, &format!("_{name}"));
        concurrently(connection, index, part_schema, &child, part).await?;
        let sql = format!(
            "ALTER INDEX {full_name} ATTACH PARTITION {}.{}",
            quote_identifier(part_schema),
            quote_identifier(&child)
        );
        connection.batch_execute(&sql).await.doing(doing())?;
    }
    Ok(())
}

async fn concurrently(
    connection: &Connection,
    index: &IndexStatement,
    schema: &str,
    name: &str,
    table: &str,
) -> Result<(), DbError> {
    const VALID: &str = "\
SELECT i.indisvalid FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2";
    let doing = || format!("building index {name} on {table}");
    let found = connection
        .query_typed_opt(VALID, &[(&schema, Type::TEXT), (&name, Type::TEXT)])
        .await
        .doing(doing())?;
    match found.map(|row| row.try_get::<_, bool>(0)).transpose()? {
        Some(true) => return Ok(()),
        // What a build leaves that was interrupted.
        Some(false) => {
            let sql = format!(
                "DROP INDEX CONCURRENTLY {}.{}",
                quote_identifier(schema),
                quote_identifier(name)
            );
            connection.batch_execute(&sql).await.doing(doing())?;
        }
        None => {}
    }
    let unique = if index.unique { "UNIQUE " } else { "" };
    let sql = format!(
        "CREATE {unique}INDEX CONCURRENTLY {} ON {table} {}",
        quote_identifier(name),
        index.rest
    );
    connection.batch_execute(&sql).await.doing(doing())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::migration::MIGRATIONS;
    use crate::db::testing;

    fn index(name: &str, table: &str) -> IndexStatement {
        let (name, table) = (name.to_owned(), table.to_owned());
        IndexStatement { name, table, rest: "(x DESC) WHERE x > 5".to_owned(), unique: false }
    }

    #[test]
    fn migrations_of_indexes_are_read() {
        let text = "-- c; d\nCREATE UNIQUE INDEX IF NOT EXISTS a ON b.c\n  (d);\n\
                    CREATE INDEX IF NOT EXISTS e ON f USING brin (g);";
        let parsed = parse(text).unwrap();
        assert_eq!((parsed[0].rest.as_str(), parsed[0].unique), ("(d)", true));
        assert_eq!((parsed[1].table.as_str(), parsed[1].unique), ("f", false));
        for wrong in ["CREATE INDEX a ON b (c)", "DROP TABLE b", "CREATE", "CREATE UNIQUE INDEX"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let all = MIGRATIONS.iter().filter(|migration| migration.indexes);
        let counts: Vec<usize> = all.map(|migration| parse(migration.up).unwrap().len()).collect();
        assert!(counts.contains(&17), "{counts:?}");
    }

    #[test]
    fn an_index_is_built_on_every_partition_and_an_interrupted_build_goes_on() {
        testing::run(async |database| {
            let connection = database.connect().await.unwrap();
            connection
                .batch_execute(
                    "CREATE TABLE public.t (x int) PARTITION BY RANGE (x); \
                     CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES FROM (0) TO (10); \
                     CREATE TABLE public.t2 PARTITION OF public.t FOR VALUES FROM (10) TO (20); \
                     INSERT INTO public.t SELECT generate_series(0, 19); \
                     CREATE INDEX t_x ON ONLY public.t (x DESC) WHERE x > 5; \
                     CREATE INDEX t1_t_x ON public.t1 (x DESC) WHERE x > 5; \
                     UPDATE pg_index SET indisvalid = false \
                     WHERE indexrelid = 'public.t1_t_x'::regclass; \
                     CREATE TABLE public.plain (x int)",
                )
                .await
                .unwrap();
            for _ in 0..2 {
                build(&connection, &index("t_x", "public.t")).await.unwrap();
                build(&connection, &index("p_x", "public.plain")).await.unwrap();
            }
            let sql = "SELECT bool_and(indisvalid), count(*) FROM pg_index i \
                       JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname LIKE '%\\_x'";
            let row = connection.query_typed_one(sql, &[]).await.unwrap();
            assert_eq!((row.get::<_, bool>(0), row.get::<_, i64>(1)), (true, 4));
            assert!(build(&connection, &index("n_x", "public.none")).await.is_err());
        });
    }
}
