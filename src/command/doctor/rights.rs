//! What the role may do, against what a load does.

use tokio_postgres::types::Type;

use crate::dataset;
use crate::db::{Connection, DbError, Doing as _};

use super::super::finding::{Finding, Level};

/// The ledger's tables that a load writes.
const LEDGER_TABLES: [&str; 8] = [
    "tidegate.run",
    "tidegate.content",
    "tidegate.load_set",
    "tidegate.load",
    "tidegate.portion",
    "tidegate.stretch",
    "tidegate.route",
    "tidegate.reject",
];

/// Where symbols become numbers, for every dataset that has tickers.
const TICKERS: &str = "public.tickers";

struct Rights {
    role: String,
    role_name: String,
    database_name: String,
    may_create_schema: bool,
    may_make_temporary: bool,
    has_tidegate: bool,
    may_use_tidegate: bool,
    may_create_in_public: bool,
}

struct Table {
    name: String,
    ledger: bool,
    owner: bool,
    may_write: bool,
}

pub(super) async fn check(db: &Connection) -> Result<Vec<Finding>, DbError> {
    let rights = read(db).await?;
    let tables = read_tables(db).await?;
    let mut findings = schemas(&rights, tables.iter().any(|table| !table.ledger));
    findings.extend(tables.iter().filter_map(|table| judge(&rights, table)));
    if findings.is_empty() {
        findings.push(Finding::ok("rights", format!("role {} may do what loads do", rights.role)));
    }
    Ok(findings)
}

async fn read(db: &Connection) -> Result<Rights, DbError> {
    let sql = include_str!("../sql/doctor_rights.sql");
    let row = db.query_typed_one(sql, &[]).await.doing("asking for this role's rights")?;
    Ok(Rights {
        role: row.try_get("role")?,
        role_name: row.try_get("role_name")?,
        database_name: row.try_get("database_name")?,
        may_create_schema: row.try_get("may_create_schema")?,
        may_make_temporary: row.try_get("may_make_temporary")?,
        has_tidegate: row.try_get("has_tidegate")?,
        may_use_tidegate: row.try_get("may_use_tidegate")?,
        may_create_in_public: row.try_get("may_create_in_public")?,
    })
}

async fn read_tables(db: &Connection) -> Result<Vec<Table>, DbError> {
    let of_datasets = dataset::ALL.iter().flat_map(|dataset| dataset.tables());
    let names: Vec<String> = (LEDGER_TABLES.into_iter().chain([TICKERS]).map(str::to_owned))
        .chain(of_datasets.map(|table| table.to_string()))
        .collect();
    let sql = include_str!("../sql/doctor_tables.sql");
    let rows = db
        .query_typed(sql, &[(&names, Type::TEXT_ARRAY)])
        .await
        .doing("asking for this role's rights on tables")?;
    rows.iter()
        .map(|row| {
            Ok(Table {
                name: row.try_get("name")?,
                ledger: row.try_get::<_, Option<bool>>("ledger")?.unwrap_or(false),
                owner: row.try_get("owner")?,
                may_write: row.try_get("may_write")?,
            })
        })
        .collect()
}

fn schemas(rights: &Rights, has_market_tables: bool) -> Vec<Finding> {
    let Rights { role_name, database_name, .. } = rights;
    let lacks = |what: &str| format!("role {} may not {what}", rights.role);
    let mut findings = Vec::new();
    let mut add = |level, found: String, change: String, why| {
        findings.push(Finding::advise(level, "rights", found, change, why));
    };
    if !rights.has_tidegate && !rights.may_create_schema {
        add(
            Level::Fault,
            lacks("create the schema tidegate"),
            format!(
                "GRANT CREATE ON DATABASE {database_name} TO {role_name}, or CREATE SCHEMA \
                     tidegate AUTHORIZATION {role_name}"
            ),
            "the ledger lives there, and nothing is loaded without it",
        );
    }
    if rights.has_tidegate && !rights.may_use_tidegate {
        add(
            Level::Fault,
            lacks("use and create in the schema tidegate"),
            format!("GRANT USAGE, CREATE ON SCHEMA tidegate TO {role_name}"),
            "the ledger lives there, and nothing is loaded without it",
        );
    }
    if !rights.may_create_in_public && !has_market_tables {
        add(
            Level::Warning,
            lacks("create tables in the schema public"),
            format!("GRANT CREATE ON SCHEMA public TO {role_name}"),
            "our own tables are made there; tables of yours, named by --table, do not need it",
        );
    }
    if !rights.may_make_temporary {
        add(
            Level::Fault,
            lacks("make temporary tables"),
            format!("GRANT TEMPORARY ON DATABASE {database_name} TO {role_name}"),
            "rows that meet stored ones, and rows at fault, go through a temporary table",
        );
    }
    findings
}

fn judge(rights: &Rights, table: &Table) -> Option<Finding> {
    let Table { name, .. } = table;
    let role = &rights.role_name;
    if !table.may_write {
        return Some(Finding::advise(
            Level::Fault,
            "rights",
            format!("role {} may not write {name}", rights.role),
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {role}"),
            "a load writes there",
        ));
    }
    (!table.owner && !table.ledger).then(|| {
        Finding::advise(
            Level::Warning,
            "rights",
            format!("role {} does not own {name}", rights.role),
            format!("ALTER TABLE {name} OWNER TO {role}"),
            "only the owner makes partitions, which a load needs when rows of a new time arrive",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Rights {
        Rights {
            role: "loader".to_owned(),
            role_name: "loader".to_owned(),
            database_name: "db".to_owned(),
            may_create_schema: true,
            may_make_temporary: true,
            has_tidegate: false,
            may_use_tidegate: false,
            may_create_in_public: true,
        }
    }

    #[test]
    fn missing_rights_are_named_with_their_grant() {
        assert_eq!(schemas(&all(), false), []);
        let found = schemas(&Rights { may_create_schema: false, ..all() }, false);
        assert_eq!(found[0].level, Level::Fault);
        assert!(found[0].change.as_ref().unwrap().starts_with("GRANT CREATE ON DATABASE db"));
        assert_eq!(schemas(&Rights { has_tidegate: true, ..all() }, true).len(), 1);
        let no_public = || Rights { may_create_in_public: false, ..all() };
        assert_eq!(schemas(&no_public(), false)[0].level, Level::Warning);
        assert_eq!(schemas(&no_public(), true), []);
        assert_eq!(schemas(&Rights { may_make_temporary: false, ..all() }, true).len(), 1);
    }

    #[test]
    fn tables_of_others_are_told() {
        let table = |owner, may_write, ledger| Table {
            name: "market_data".to_owned(),
            ledger,
            owner,
            may_write,
        };
        let level = |table| judge(&all(), &table).map(|finding| finding.level);
        assert_eq!(level(table(true, true, false)), None);
        assert_eq!(level(table(false, true, false)), Some(Level::Warning));
        assert_eq!(level(table(false, true, true)), None);
        assert_eq!(level(table(true, false, true)), Some(Level::Fault));
    }
}
