"""One run of each loader that scripts/bench-peers compares, and the check of what it stored."""

import os
import pathlib
import subprocess
import sys
import time

from .bars import COLUMNS, FORMATS, SYMBOLS
from .server import clean_env

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
OURS = "tidegate"
PROGRAM = pathlib.Path(
    os.environ.get("TIDEGATE", SCRIPTS.parent / "target" / "release" / "tidegate")
).absolute()
# What each peer can read.
PEERS = {"psql1": ["csv"], "psql2": ["csv"], "duckdb": FORMATS, "adbc": FORMATS}
TABLE_COLUMNS = """(symbol text, "interval" text, ts timestamptz, open double precision,
    high double precision, low double precision, close double precision, volume double precision"""
KEY = ', PRIMARY KEY (symbol, "interval", ts)'


def prepare(server, loader, case, rows):
    """A fresh database with the case's empty table; what came before is on disk."""
    server.fresh_database()
    if loader == OURS:
        run_program(server, "migrate", "up", "--domain", "market", "--tables")
    if case == "market" and loader != OURS:
        server.query(f"CREATE TABLE t {TABLE_COLUMNS}{KEY}) PARTITION BY RANGE (ts)")
        days = (rows // SYMBOLS - 1) // 1440 + 1
        day = "timestamptz '2024-01-01' + {} * interval '1 day'"
        server.query(
            "DO $$ BEGIN FOR n IN 0.." + str(days - 1) + " LOOP EXECUTE format("
            "'CREATE TABLE t_%s PARTITION OF t FOR VALUES FROM (%L) TO (%L)', n, "
            f"{day.format('n')}, {day.format('(n + 1)')}); END LOOP; END $$"
        )
    elif case != "market":
        server.query(f"CREATE TABLE t {TABLE_COLUMNS}{KEY if case == 'keyed' else ''})")
    server.query("CHECKPOINT")


def run_once(server, loader, case, form, bars):
    """Seconds of one load."""
    path = bars.files[form]
    if loader == OURS:
        table = [] if case == "market" else ["--table", "public.t"]
        return run_program(server, "backfill", path, *table, "--progress", "none")
    if loader == "psql1":
        return run_psql(server, [path])
    if loader == "psql2":
        return run_psql(server, bars.halves)
    entry = SCRIPTS / "bench-peers"
    command = [sys.executable, entry, "--worker", loader, form, path, server.url(), "t"]
    done = subprocess.run(command, env=clean_env(), text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{loader} failed: {done.stderr.strip()}")
    return float(done.stdout)


def run_program(server, *arguments):
    home = server.dir / "home"
    env = {**clean_env(), "TIDEGATE_HOME": str(home), "NO_COLOR": "1"}
    command = [PROGRAM, *arguments, "--database-url", server.url()]
    start = time.perf_counter()
    done = subprocess.run(command, env=env, text=True, capture_output=True, cwd=server.dir)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr.strip()}")
    return seconds


def run_psql(server, paths):
    start = time.perf_counter()
    streams = []
    for path in paths:
        copy = f"\\copy t from '{path}' with (format csv, header)"
        command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", server.url(), "-c", copy]
        streams.append(subprocess.Popen(command, env=clean_env(), stdout=subprocess.DEVNULL))
    codes = [stream.wait() for stream in streams]
    if any(codes):
        raise RuntimeError(f"psql ended with {codes}")
    return time.perf_counter() - start


def check(server, loader, case, bars):
    """Fails unless the table holds the generator's rows and prices."""
    table = "market_data" if case == "market" and loader == OURS else "t"
    cents = "coalesce(sum(round(close * 10000)::bigint), 0)"
    found = server.query(f"SELECT count(*), {cents} FROM {table}")
    expected = f"{bars.rows}|{bars.close_sum}"
    if found != expected:
        raise RuntimeError(f"{loader}, {case}: rows|prices are {found}, not {expected}")


def work(loader, form, path, url, table):
    """One load by a Python package, in a process of its own; prints its seconds."""
    load = {"duckdb": load_duckdb, "adbc": load_adbc}[loader]
    print(load(form, path, url, table))


def load_duckdb(form, path, url, table):
    import importlib.util

    import duckdb

    package = importlib.util.find_spec("duckdb_extension_postgres_scanner")
    folder = pathlib.Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}"
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    # The package carries the extension as a file: nothing is fetched at run time.
    connection.execute(f"LOAD '{folder / 'postgres_scanner.duckdb_extension'}'")
    number = ", ".join(f"'{name}': 'DOUBLE'" for name in COLUMNS[3:])
    types = "{'symbol': 'VARCHAR', 'interval': 'VARCHAR', 'ts': 'TIMESTAMPTZ', " + number + "}"
    source = f"read_csv('{path}', header = true, columns = {types})"
    if form == "parquet":
        source = f"read_parquet('{path}')"
    start = time.perf_counter()
    connection.execute(f"ATTACH '{url}' AS pg (TYPE postgres)")
    connection.execute(f"INSERT INTO pg.public.{table} SELECT * FROM {source}")
    return time.perf_counter() - start


def load_adbc(form, path, url, table):
    import adbc_driver_postgresql.dbapi as adbc
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv as arrow_csv

    start = time.perf_counter()
    if form == "csv":
        types = {name: pa.float64() for name in COLUMNS[3:]}
        types.update(symbol=pa.string(), interval=pa.string(), ts=pa.timestamp("us", "UTC"))
        reader = arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(block_size=16 << 20),
            convert_options=arrow_csv.ConvertOptions(column_types=types),
        )
    else:
        file = pq.ParquetFile(path)
        batches = file.iter_batches(batch_size=65_536)
        reader = pa.RecordBatchReader.from_batches(file.schema_arrow, batches)
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(table, reader, mode="append", db_schema_name="public")
        connection.commit()
    return time.perf_counter() - start
