#!/usr/bin/env python3
"""Two million rows of Parquet in S3 into PostgreSQL, into a table with a primary key.

`cargo xtask bench postgres [ROWS] [ROUNDS]` (2 million, 3). A new table and one that holds rows, by a first incremental run
and by a full refresh, and a full refresh of what is there already. Beside it, in the same rounds: psql's COPY of the same
rows from a file in PostgreSQL's binary format into the same kinds of table, which reads no Parquet, converts nothing and
checks nothing; DuckDB, where Python has it with its extension for PostgreSQL; Sling, where it is on the path. Checks how
many rows have arrived and the sum of their keys.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

from support import COLUMNS, TAPLINE, Bucket, Measured, Postgres, medians, table

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3

# Rows of others that a table holds before: a tenth as many, under keys that the file does not have.
HELD = ROWS // 10
TABLE = "public.tapline_bench"
MAKE = f"""CREATE TABLE {TABLE} (id bigint PRIMARY KEY, email text, first_name text, last_name text, country text,
    balance double precision, points integer, active boolean, signed_up date, updated_at timestamp, note text, status text)"""
FILL = f"""INSERT INTO {TABLE} SELECT -i, 'x@example.com', 'First', 'Last', 'DE', i / 8.0, i % 1000, true, '2020-01-01',
    '2024-01-01', NULL, 'held' FROM generate_series(1, {HELD}) i"""


def project(folder, bucket, url, mode):
    (folder / "tapline.yaml").write_text(f"""
version: 1
sources:
  lake:
    type: s3
    region: us-east-1
    bucket: {bucket.name}
    file_type: parquet
    endpoint: {bucket.url}
    auth: {{ type: iam_user, access_key_id: "{bucket.key}", secret_access_key: "{bucket.secret}" }}
models:
  rows: {{ source: lake, sql: "SELECT * FROM 's3://{bucket.name}/rows.parquet'", primary_key: [id] }}
destinations:
  target: {{ type: postgres, url: "{url}" }}
syncs:
  rows: {{ model: rows, destination: target, stream: {TABLE}, mode: {mode} }}
""")


def sync(folder, *arguments):
    run = Measured([TAPLINE, "sync", "rows", "--format", "json", *arguments], cwd=folder)
    report = json.loads(run.stdout)
    assert report["status"] == "succeeded" and report["rows"]["inserted"] == ROWS, report
    return run


def duckdb_script(url):
    """DuckDB's own way: the server is attached as a database, and its tables made or filled from the file."""
    return f"""
import pathlib, duckdb, duckdb_extension_postgres
package = pathlib.Path(duckdb_extension_postgres.__file__).parent
database = duckdb.connect()
database.execute(f"LOAD '{{next(package.rglob('*.duckdb_extension'))}}'")
database.execute("ATTACH '{url}' AS pg (TYPE postgres)")
"""


def has_duckdb(url):
    if Measured([sys.executable, "-c", duckdb_script(url)], accept=(0, 1)).stderr:
        print("skipped: DuckDB (this Python has no duckdb and duckdb-extension-postgres that work together)")
        return False
    return True


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix="tapline-bench-"))
    postgres = Postgres()
    bucket = None
    peers = {"duckdb": has_duckdb(postgres.url), "sling": shutil.which("sling") is not None}
    if not peers["sling"]:
        print("skipped: Sling (it is not on the path)")
    try:
        files = work / "files"
        files.mkdir()
        file = work / "rows.parquet"
        sql = f"SELECT {COLUMNS.format(status=repr('status'))} FROM generate_series(1, {ROWS}) series(value)"
        Measured([TAPLINE, "query", sql, "--format", "parquet", "-o", str(file)])
        bucket = Bucket("bench", files)
        bucket.put("rows.parquet", file)
        binary = work / "rows.bin"
        runs = {}

        def drop():
            postgres.ask(f"DROP TABLE IF EXISTS {TABLE}; DROP TABLE IF EXISTS public._tapline_receipts, public._tapline_outcomes")

        def held():
            drop()
            postgres.ask(f"{MAKE}; {FILL}")

        def check(held):
            found = postgres.ask(f"SELECT count(*), sum(id), count(note) FROM {TABLE} WHERE id > 0")
            assert found.startswith(f"{ROWS}|{ROWS * (ROWS + 1) // 2}|"), found
            others = postgres.ask(f"SELECT count(*) FROM {TABLE} WHERE id < 0")
            assert others == str(held), others

        def take(word, run, held=0):
            check(held)
            runs.setdefault(word, []).append(run)
            print(f"{word}: {run.seconds:.2f} s", flush=True)

        for number in range(ROUNDS):
            folders = {}
            for mode in ["incremental", "full_refresh"]:
                for state in ["new", "held"]:
                    folder = folders[mode, state] = work / f"{mode}-{state}-{number}"
                    folder.mkdir()
                    project(folder, bucket, postgres.url, mode)
            drop()
            take("first incremental run, new table", sync(folders["incremental", "new"]))
            if not binary.exists():
                Measured(postgres.program(f"\\copy {TABLE} TO '{binary}' (FORMAT binary)"), env=postgres.env)
            held()
            take("first incremental run, table with rows", sync(folders["incremental", "held"]), HELD)
            drop()
            take("full refresh, new table", sync(folders["full_refresh", "new"]))
            take("full refresh of the same rows", sync(folders["full_refresh", "new"]))
            held()
            take("full refresh, table with rows of others", sync(folders["full_refresh", "held"], "--replace-existing"))
            drop()
            postgres.ask(MAKE)
            copy = postgres.program(f"\\copy {TABLE} FROM '{binary}' (FORMAT binary)")
            take("psql COPY (binary file), new table", Measured(copy, env=postgres.env))
            held()
            take("psql COPY (binary file), table with rows", Measured(copy, env=postgres.env), HELD)
            if peers["duckdb"]:
                script = duckdb_script(postgres.url)
                drop()
                making = f"{script}database.execute(\"CREATE TABLE pg.{TABLE} AS SELECT * FROM read_parquet('{file}')\")"
                take("DuckDB CREATE TABLE AS (local file, no key)", Measured([sys.executable, "-c", making]))
                drop()
                postgres.ask(MAKE)
                filling = f"{script}database.execute(\"INSERT INTO pg.{TABLE} SELECT * FROM read_parquet('{file}')\")"
                take("DuckDB INSERT (local file), new table", Measured([sys.executable, "-c", filling]))
            if peers["sling"]:
                drop()
                words = ["sling", "run", "--src-stream", f"file://{file}", "--tgt-conn", "BENCH", "--tgt-object", TABLE]
                environment = dict(os.environ, BENCH=f"{postgres.url}?sslmode=disable", SLING_LOADED_AT_COLUMN="false")
                take("Sling (local file), new table", Measured([*words, "--mode", "full-refresh"], env=environment))
            for folder in folders.values():
                shutil.rmtree(folder)
        drop()
        size = file.stat().st_size / 2**20
        print(f"\n{ROWS:,} rows × 12 columns, {size:.0f} MiB of Parquet, {binary.stat().st_size / 2**20:.0f} MiB as binary COPY\n")
        rows = []
        for word, measured in runs.items():
            seconds, memory = medians(measured)
            rows.append([word, f"{seconds:.2f} s", f"{ROWS / seconds / 1e6:.2f} M", f"{memory:.0f} MiB"])
        table(["", "median", "rows a second", "peak memory"], rows)
        new = medians(runs["first incremental run, new table"])[0]
        raw = medians(runs["psql COPY (binary file), new table"])[0]
        print(f"\na new table: {new / raw:.2f} × raw COPY")
    finally:
        if bucket:
            bucket.close()
        postgres.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
