#!/usr/bin/env python3
"""A sync of a large Parquet file into PostgreSQL: the first run, one with 1 % of the rows changed, one with nothing to do.

`cargo xtask bench sync [ROWS] [ROUNDS]` (10 million, 3). Beside it: the plan of the second run, which reads, hashes and
compares everything and writes nothing, and DuckDB hashing the same file from the local disk, where Python has it.
Says how much memory each took and how many bytes of snapshot a row takes, and checks how many rows have arrived and the
sum of their keys.
"""

import json
import pathlib
import shutil
import sys
import tempfile

from support import COLUMNS, TAPLINE, Bucket, Measured, Postgres, medians, table

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3

CHANGED = "CASE WHEN value % 100 = 7 THEN 'changed' ELSE 'status' || value % 20 END"


def generate(path, status):
    sql = f"SELECT {COLUMNS.format(status=status)} FROM generate_series(1, {ROWS}) series(value)"
    Measured([TAPLINE, "query", sql, "--format", "parquet", "-o", str(path)])


def project(folder, bucket, url):
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
  rows: {{ model: rows, destination: target, stream: public.tapline_bench, mode: incremental }}
""")


def sync(folder, status, **counts):
    run = Measured([TAPLINE, "sync", "rows", "--format", "json"], cwd=folder)
    report = json.loads(run.stdout)
    assert report["status"] == status, report
    for name, count in counts.items():
        assert report["rows"][name] == count, report
    return run


def hash_with_duckdb(file):
    script = f"import duckdb; print(duckdb.sql(\"SELECT bit_xor(hash(t)) FROM read_parquet('{file}') t\").fetchall())"
    return Measured([sys.executable, "-c", script])


def main():
    try:
        import duckdb  # noqa: F401
        peers = True
    except ImportError:
        print("skipped: DuckDB (this Python has no module of that name)")
        peers = False
    work = pathlib.Path(tempfile.mkdtemp(prefix="tapline-bench-"))
    postgres = Postgres()
    bucket = None
    try:
        files = work / "files"
        files.mkdir()
        generate(work / "first.parquet", "'status' || value % 20")
        generate(work / "second.parquet", CHANGED)
        bucket = Bucket("bench", files)
        runs = {name: [] for name in ["first", "plan", "changed", "unchanged", "hash"]}
        for number in range(ROUNDS):
            folder = work / f"project-{number}"
            folder.mkdir()
            project(folder, bucket, postgres.url)
            postgres.ask("DROP TABLE IF EXISTS public.tapline_bench; DROP TABLE IF EXISTS public._tapline_receipts CASCADE")
            bucket.put("rows.parquet", work / "first.parquet")
            runs["first"].append(sync(folder, "succeeded", read=ROWS, inserted=ROWS))
            snapshot = sum(file.stat().st_size for file in (folder / ".tapline/snapshots").rglob("*") if file.is_file())
            bucket.put("rows.parquet", work / "second.parquet")
            runs["plan"].append(Measured([TAPLINE, "plan", "rows", "--diff", "0"], cwd=folder))
            changed = ROWS // 100
            runs["changed"].append(sync(folder, "succeeded", read=ROWS, updated=changed, unchanged=ROWS - changed))
            runs["unchanged"].append(sync(folder, "unchanged"))
            if peers:
                runs["hash"].append(hash_with_duckdb(work / "second.parquet"))
            sums = "count(*), sum(id), sum(balance), count(*) FILTER (WHERE status = 'changed'), count(note)"
            found = postgres.ask(f"SELECT {sums} FROM public.tapline_bench")
            print(f"round {number + 1}: the table holds {found}", flush=True)
            assert found.startswith(f"{ROWS}|{ROWS * (ROWS + 1) // 2}|"), found
            shutil.rmtree(folder)
        size = (work / "first.parquet").stat().st_size / 2**20
        print(f"\n{ROWS:,} rows × 12 columns, {size:.0f} MiB of Parquet; snapshot {snapshot / ROWS:.1f} bytes a row\n")
        words = {
            "first": "first sync",
            "changed": "sync with 1 % changed",
            "unchanged": "sync with nothing to do",
            "plan": "plan with 1 % changed",
            "hash": "DuckDB hashing the file (local)",
        }
        rows = []
        for name, word in words.items():
            if runs[name]:
                seconds, memory = medians(runs[name])
                rows.append([word, f"{seconds:.2f} s", f"{ROWS / seconds / 1e6:.2f} M", f"{memory:.0f} MiB"])
        table(["", "median", "rows a second", "peak memory"], rows)
    finally:
        if bucket:
            bucket.close()
        postgres.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
