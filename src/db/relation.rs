//! Which tables and views of a database are ours: those that the applied migrations made. A table
//! of a user's is never taken for one of ours because it is called so. Called before tables are
//! made in a database that has some.

use super::migration::{MIGRATIONS, Migration, State, status};
use super::{Connection, DbError};

/// The tables and views that the applied migrations made, as `schema.name`.
///
/// # Errors
/// [`DbError::Server`].
pub async fn relations(connection: &Connection) -> Result<Vec<String>, DbError> {
    let known = status(connection).await?;
    let is_applied = |migration: &&Migration| {
        known.iter().any(|known| {
            known.domain == migration.domain
                && known.version == migration.version
                && matches!(known.state, State::Applied(_) | State::Changed(_))
        })
    };
    Ok(MIGRATIONS.iter().filter(is_applied).flat_map(|m| made_by(m.up)).collect())
}

/// What follows `CREATE TABLE`, `CREATE VIEW` and the like in a migration's SQL.
fn made_by(sql: &str) -> Vec<String> {
    const BEFORE_NAME: [&str; 9] =
        ["or", "replace", "materialized", "unlogged", "table", "view", "if", "not", "exists"];
    let mut words = sql.split_whitespace();
    let mut made = Vec::new();
    while let Some(word) = words.next() {
        if !word.eq_ignore_ascii_case("create") {
            continue;
        }
        let is_relation = |word: &str| ["table", "view"].contains(&word);
        let mut seen = false;
        for word in words.by_ref() {
            let lower = word.to_lowercase();
            seen |= is_relation(&lower);
            if !BEFORE_NAME.contains(&lower.as_str()) {
                let name = lower.split('(').next().unwrap_or_default().trim_end_matches(';');
                if seen {
                    made.push(name.to_owned());
                }
                break;
            }
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::migration::{Extent, up};
    use crate::db::testing;

    #[test]
    fn what_migrations_made_is_ours_and_nothing_else() {
        let sql = "CREATE TABLE IF NOT EXISTS a.b (x int); CREATE INDEX i ON a.b (x); \
                   create or replace view a.v AS SELECT 1; CREATE SCHEMA IF NOT EXISTS a; \
                   CREATE MATERIALIZED VIEW IF NOT EXISTS a.m AS SELECT 1; \
                   CREATE TABLE a.t(x int)";
        assert_eq!(made_by(sql), ["a.b", "a.v", "a.m", "a.t"]);
        testing::run(async |database| {
            let mut connection = database.connect().await.unwrap();
            assert_eq!(relations(&connection).await.unwrap(), [""; 0]);
            up(&database, &mut connection, &["market"], Extent::Loads, true).await.unwrap();
            let ours = relations(&connection).await.unwrap();
            assert!(ours.contains(&"public.tickers".to_owned()), "{ours:?}");
            let has = async || crate::db::catalog::has_user_tables(&connection, &ours).await;
            assert!(!has().await.unwrap());
            connection.batch_execute("CREATE TABLE orders (mine int)").await.unwrap();
            assert!(has().await.unwrap(), "another domain's name, but not ours");
        });
    }
}
