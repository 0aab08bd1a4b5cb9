#!/usr/bin/env python3
"""Rows as requests: how much of a rate limit is made use of, and how close requests come to what the service allows.

`cargo xtask bench http [ROWS]` (20,000). The service is a program of its own that answers after a fixed time. Without a
limit nothing is faster than connections × rows a request ÷ time of an answer; with one, nothing is faster than the
limit. Says which share of either was reached, from the first request to the last.
"""

import asyncio
import json
import multiprocessing
import pathlib
import shutil
import sys
import tempfile
import time

from support import TAPLINE, Bucket, Measured, table

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000


def serve(latency, pipe):
    """Answers 200 after `latency` seconds; tells how many requests there were, and the time from first to last."""
    moments = []

    async def client(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").lower().split("\r\n")
                length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
                await reader.readexactly(length)
                moments.append(time.monotonic())
                await asyncio.sleep(latency)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main():
        server = await asyncio.start_server(client, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        pipe.send((len(moments), moments[-1] - moments[0] if moments else 0.0))

    asyncio.run(main())


def project(folder, bucket, port, settings):
    (folder / "tapline.yaml").write_text(f"""
version: 1
sources:
  lake:
    type: s3
    region: us-east-1
    bucket: {bucket.name}
    endpoint: {bucket.url}
    auth: {{ type: iam_user, access_key_id: "{bucket.key}", secret_access_key: "{bucket.secret}" }}
models:
  rows: {{ source: lake, sql: "SELECT * FROM 's3://{bucket.name}/rows.parquet'", primary_key: [id] }}
destinations:
  target: {{ type: http, url: "http://127.0.0.1:{port}/rows", allow_http: true, {settings} }}
syncs:
  rows: {{ model: rows, destination: target, stream: rows, mode: incremental }}
""")


def measure(work, bucket, rows, latency, settings):
    here, there = multiprocessing.Pipe()
    service = multiprocessing.Process(target=serve, args=(latency, there), daemon=True)
    service.start()
    folder = pathlib.Path(tempfile.mkdtemp(dir=work))
    project(folder, bucket, here.recv(), settings)
    sql = f"SELECT value AS id, 'name of ' || value AS name, value % 7 AS points FROM generate_series(1, {rows}) series(value)"
    Measured([TAPLINE, "query", sql, "--format", "parquet", "-o", str(folder / "rows.parquet")])
    bucket.put("rows.parquet", folder / "rows.parquet")
    run = Measured([TAPLINE, "sync", "rows", "--format", "json"], cwd=folder)
    report = json.loads(run.stdout)
    assert report["status"] == "succeeded" and report["rows"]["inserted"] == rows, report
    here.send("done")
    requests, seconds = here.recv()
    service.join()
    return requests, seconds, run


def main():
    work = pathlib.Path(tempfile.mkdtemp(prefix="tapline-bench-"))
    files = work / "files"
    files.mkdir()
    bucket = Bucket("bench", files)
    lines = []
    try:
        for rate in [10, 100, 1000]:
            rows = rate * 10
            settings = f"concurrency: 32, rate_limit: {{ requests: {rate} }}"
            requests, seconds, run = measure(work, bucket, rows, 0.01, settings)
            reached = (requests - 1) / seconds
            assert reached <= rate * 1.01, f"{reached} requests a second, where {rate} are allowed"
            lines.append([f"limit of {rate} a second", f"{reached:.1f} a second", f"{reached / rate:.1%}", f"{run.memory:.0f} MiB"])
        for connections, batch, latency in [(4, 1, 0.02), (8, 100, 0.05), (16, 500, 0.1)]:
            # So many rows that each connection is busy for a hundred answers.
            rows = min(ROWS, connections * batch * 100) if batch == 1 else connections * batch * 50
            settings = f"concurrency: {connections}, batch: {{ rows: {batch} }}"
            requests, seconds, run = measure(work, bucket, rows, latency, settings)
            most = connections * batch / latency
            # The last requests end after they have come.
            reached = rows / (seconds + latency)
            words = f"{connections} connections × {batch} rows ÷ {latency * 1000:.0f} ms"
            lines.append([words, f"{reached:,.0f} rows a second", f"{reached / most:.1%}", f"{run.memory:.0f} MiB"])
        table(["what bounds it", "reached", "share", "memory"], lines)
    finally:
        bucket.close()
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
