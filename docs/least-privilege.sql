-- Makes a role that loads market data and may do nothing else: it owns the tables that this program
-- makes and the schema of its ledger, and sees no table of anybody else. Run it once in the
-- database, as its owner or a superuser:
--
--     psql -d market -v role=market_loader -f docs/least-privilege.sql
--
-- then give the role a password (\password market_loader) or a line in pg_hba.conf. Everything
-- works under this role: migrations, loads, partitions, aggregates, the nightly job. Only the
-- extension TimescaleDB must be created by somebody who may.

CREATE ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

-- Temporary tables are where rows are staged that meet stored ones.
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO :"role";

-- The ledger (what was loaded, and what was refused), and the schemas of prediction markets.
CREATE SCHEMA IF NOT EXISTS tidegate AUTHORIZATION :"role";
CREATE SCHEMA IF NOT EXISTS kalshi AUTHORIZATION :"role";
CREATE SCHEMA IF NOT EXISTS espn AUTHORIZATION :"role";
CREATE SCHEMA IF NOT EXISTS derived AUTHORIZATION :"role";

-- The market tables stand in the schema public.
GRANT USAGE, CREATE ON SCHEMA public TO :"role";

-- For a table of your own that `--table` fills, the role needs as much:
--     GRANT SELECT, INSERT, UPDATE ON my_table TO market_loader;
-- UPDATE only for --on-conflict update.
