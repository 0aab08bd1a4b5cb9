#!/usr/bin/env python3
"""Requests, bytes, seconds and memory of queries on one large Parquet file; beside DuckDB's httpfs where it is installed.

  cargo xtask bench reading [ROWS [DELAY_MS]]

Needs the PyPI package `duckdb`, which also writes the file; `duckdb-extension-httpfs` of the same version for comparison.
"""
import pathlib
import sys
import tempfile
import time

import duckdb

from support.served import Served

DEFAULTS = ["10000000", "0"]
GIVEN = sys.argv[1:]
ROWS, DELAY = (int(word) for word in GIVEN + DEFAULTS[len(GIVEN) :])
TABLE = "'s3://lake/files/rows.parquet'"
QUERIES = {
    "count(*)": f"SELECT count(*) FROM {TABLE}",
    "two columns": f"SELECT sum(c1), max(c2) FROM {TABLE}",
    "one row group": f"SELECT * FROM {TABLE} WHERE id BETWEEN {ROWS // 2} AND {ROWS // 2 + 10}",
    "a full scan": f"SELECT max(id), max(c1), max(c2), max(c3), max(c4), max(c5), max(c6), max(c7), max(c8), max(c9), "
    f"max(t1), max(t2) FROM {TABLE}",
}


def peer(served: Served):
    """A connection of DuckDB to the endpoint; None where httpfs is not installed."""
    try:
        import duckdb_extension_httpfs
    except ImportError:
        return None
    package = pathlib.Path(duckdb_extension_httpfs.__file__).parent
    connection = duckdb.connect()
    connection.execute(f"LOAD '{next(package.rglob('*.duckdb_extension'))}'")
    host = served.url.removeprefix("http://")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{served.key}', SECRET '{served.secret}', ENDPOINT '{host}', URL_STYLE 'path', "
        "USE_SSL false, REGION 'us-east-1')"
    )
    return connection


with tempfile.TemporaryDirectory() as folder:
    numbers = ", ".join(f"hash(i, {n}) % 1000000 AS c{n}" for n in range(1, 10))
    path = pathlib.Path(folder, "rows.parquet")
    duckdb.execute(
        f"COPY (SELECT i AS id, {numbers}, 'name ' || i % 1000 AS t1, 'city ' || hash(i) % 100 AS t2 FROM range({ROWS}) r(i)) "
        f"TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 122880)"
    )
    served = Served(delay_ms=DELAY, files=folder)
    print(f"{ROWS} rows, 12 columns, {path.stat().st_size >> 20} MiB, {DELAY} ms added to each request")
    print(f"{'query':14} {'by':8} {'seconds':>8} {'requests':>9} {'MB':>7} {'MiB of memory':>14}")
    connection = peer(served)
    for name, sql in QUERIES.items():
        code, seconds, requests, sent, memory = served.run("query", "lake", sql, "--format", "csv")
        assert code == 0, f"{sql} ended with {code}"
        print(f"{name:14} {'tapline':8} {seconds:8.2f} {requests:9} {sent / 1e6:7.1f} {memory:14.0f}", flush=True)
        if connection is not None:
            served.traffic()
            started = time.perf_counter()
            connection.execute(sql).fetchall()
            seconds = time.perf_counter() - started
            requests, sent = served.traffic()
            print(f"{name:14} {'duckdb':8} {seconds:8.2f} {requests:9} {sent / 1e6:7.1f} {'':>14}", flush=True)
    served.close()
