#!/usr/bin/env python3
"""Two million rows of Parquet in S3 into MariaDB, into a table with a primary key.

`cargo xtask bench mysql [ROWS] [ROUNDS]` (2 million, 3). A new table and one that holds rows, by a first incremental run and
by a full refresh, and a full refresh of what is there already. Beside it, in the same rounds: the client's LOAD DATA LOCAL
of the same rows from a file of text into the same kinds of table, which reads no Parquet, compares nothing and makes errors
warnings. Checks how many rows have arrived and the sum of their keys.
"""

import json
import pathlib
import shutil
import sys
import tempfile

from support import COLUMNS, TAPLINE, Bucket, MariaDb, Measured, medians, table

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3

# Rows of others that a table holds before: a tenth as many, under keys that the file does not have.
HELD = ROWS // 10
TABLE = "tapline_bench"
MAKE = f"""CREATE TABLE {TABLE} (id bigint PRIMARY KEY, email longtext, first_name longtext, last_name longtext,
    country longtext, balance double, points integer, active tinyint, signed_up date, updated_at datetime(6), note longtext,
    status longtext) CHARACTER SET utf8mb4"""
FILL = f"""INSERT INTO {TABLE} SELECT -seq, 'x@example.com', 'First', 'Last', 'DE', seq / 8, seq % 1000, 1, '2020-01-01',
    '2024-01-01', NULL, 'held' FROM seq_1_to_{HELD}"""


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
  target: {{ type: mysql, url: "{url}" }}
syncs:
  rows: {{ model: rows, destination: target, stream: {TABLE}, mode: {mode} }}
""")


def sync(folder, *arguments):
    run = Measured([TAPLINE, "sync", "rows", "--format", "json", *arguments], cwd=folder)
    report = json.loads(run.stdout)
    assert report["status"] == "succeeded" and report["rows"]["inserted"] == ROWS, report
    return run


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix="tapline-bench-"))
    server = MariaDb()
    bucket = None
    try:
        files = work / "files"
        files.mkdir()
        file = work / "rows.parquet"
        sql = f"SELECT {COLUMNS.format(status=repr('status'))} FROM generate_series(1, {ROWS}) series(value)"
        Measured([TAPLINE, "query", sql, "--format", "parquet", "-o", str(file)])
        bucket = Bucket("bench", files)
        bucket.put("rows.parquet", file)
        text = work / "rows.tsv"
        load = f"LOAD DATA LOCAL INFILE '{text}' INTO TABLE {TABLE} CHARACTER SET utf8mb4"
        runs = {}

        def drop():
            server.ask(f"DROP TABLE IF EXISTS {TABLE}, _tapline_receipts, _tapline_outcomes")

        def held():
            drop()
            server.ask(f"{MAKE}; {FILL}")

        def take(word, run, held=0):
            found = server.ask(f"SELECT count(*), sum(id) FROM {TABLE} WHERE id > 0")
            assert found == f"{ROWS}\t{ROWS * (ROWS + 1) // 2}", found
            assert server.ask(f"SELECT count(*) FROM {TABLE} WHERE id < 0") == str(held)
            runs.setdefault(word, []).append(run)
            print(f"{word}: {run.seconds:.2f} s", flush=True)

        for number in range(ROUNDS):
            folders = {}
            for mode in ["incremental", "full_refresh"]:
                for state in ["new", "held"]:
                    folder = folders[mode, state] = work / f"{mode}-{state}-{number}"
                    folder.mkdir()
                    project(folder, bucket, server.url, mode)
            drop()
            take("first incremental run, new table", sync(folders["incremental", "new"]))
            if not text.exists():
                text.write_text(server.ask(f"SELECT * FROM {TABLE}", nulls=True) + "\n")
            held()
            take("first incremental run, table with rows", sync(folders["incremental", "held"]), HELD)
            drop()
            take("full refresh, new table", sync(folders["full_refresh", "new"]))
            take("full refresh of the same rows", sync(folders["full_refresh", "new"]))
            held()
            take("full refresh, table with rows of others", sync(folders["full_refresh", "held"], "--replace-existing"))
            drop()
            server.ask(MAKE)
            take("LOAD DATA LOCAL (text file), new table", server.measured(load))
            held()
            take("LOAD DATA LOCAL (text file), table with rows", server.measured(load), HELD)
            for folder in folders.values():
                shutil.rmtree(folder)
        drop()
        size = file.stat().st_size / 2**20
        print(f"\n{ROWS:,} rows × 12 columns, {size:.0f} MiB of Parquet, {text.stat().st_size / 2**20:.0f} MiB of text\n")
        rows = []
        for word, measured in runs.items():
            seconds, memory = medians(measured)
            rows.append([word, f"{seconds:.2f} s", f"{ROWS / seconds / 1e6:.2f} M", f"{memory:.0f} MiB"])
        table(["", "median", "rows a second", "peak memory"], rows)
        new = medians(runs["first incremental run, new table"])[0]
        raw = medians(runs["LOAD DATA LOCAL (text file), new table"])[0]
        print(f"\na new table: {new / raw:.2f} × LOAD DATA")
    finally:
        if bucket:
            bucket.close()
        server.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
