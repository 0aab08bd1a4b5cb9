#!/usr/bin/env python3
"""Load on the server: syncs on schedules, several at a time, with a SIGKILL in the middle.

Starts the S3 endpoint of `tapline demo --serve` and a server beside it, makes SYNCS syncs that run every INTERVAL
seconds, lets them run for SECONDS, kills the server halfway and starts it again. Then it checks what the history says:
each sync ran about as often as it was due, no two runs of a sync overlapped, and no run was lost but those that the kill
cut off.

usage: load.py [SYNCS [SECONDS [INTERVAL]]]      (200 syncs for 300 s, each every 30 s)
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

# The scripts beside this one have names of the standard library's.
sys.path.pop(0)
import urllib.request

BINARY = os.environ["TAPLINE_BIN"]
TOKEN = "a-token-for-the-load-test"
CONCURRENCY = 8


def main():
    syncs, seconds, interval = (int(word) for word in (sys.argv[1:] + ["200", "300", "30"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = subprocess.Popen(
            [BINARY, "demo", "--serve", "--folder", str(folder / "demo")], stdout=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: (folder / "demo/.demo/endpoint").exists(), "the endpoint")
            run(folder, syncs, seconds, interval)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait()


def run(folder, syncs, seconds, interval):
    read = lambda name: (folder / "demo/.demo" / name).read_text().strip()
    source = {
        "type": "s3",
        "bucket": "demo-lake",
        "region": "us-east-1",
        "endpoint": read("endpoint"),
        "auth": {
            "type": "iam_user",
            "access_key_id": read("access_key_id"),
            "secret_access_key": read("secret_access_key"),
        },
    }
    server, url = start(folder)
    make(url, "sources", "lake", source)
    sql = "SELECT * FROM 's3://demo-lake/customers/*.parquet'"
    make(url, "models", "customers", {"source": "lake", "sql": sql, "primary_key": ["id"]})
    make(url, "destinations", "out", {"type": "sqlite", "path": "out.db"})
    for number in range(syncs):
        settings = {
            "model": "customers",
            "destination": "out",
            "stream": f"customers_{number}",
            "mode": "incremental",
            "schedule": {"every": f"{interval}s"},
        }
        make(url, "syncs", f"load_{number}", settings)
    time.sleep(seconds / 2)
    server.kill()
    server.wait()
    server, url = start(folder)
    time.sleep(seconds / 2)
    runs = history(url)
    server.send_signal(signal.SIGTERM)
    server.wait()
    report(runs, syncs, seconds, interval)


def start(folder):
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--format", "json", "--quiet"]
    command += ["--concurrency", str(CONCURRENCY)]
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "TAPLINE_ADMIN_TOKEN": TOKEN}
    )
    return server, json.loads(server.stdout.readline())["url"]


def call(url, method, path, body=None):
    request = urllib.request.Request(f"{url}/api/v1/{path}", method=method)
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data=data, timeout=60) as response:
        return json.load(response)


def make(url, noun, name, settings):
    call(url, "POST", noun, {"name": name, "settings": settings})


def history(url):
    runs, after = [], ""
    while True:
        page = call(url, "GET", f"runs?limit=500{after}")
        runs += page["items"]
        if page["next"] is None:
            return runs
        after = f"&after={page['next']}"


def report(runs, syncs, seconds, interval):
    moment = lambda text: datetime.fromisoformat(text).timestamp()
    by_sync = {}
    for each in runs:
        if each["ended_at"]:
            by_sync.setdefault(each["sync"], []).append(each)
    cut = [each for each in runs if (each["error"] or {}).get("code") == "RUN-004"]
    failed = [each for each in runs if each["status"] == "failed" and each not in cut]
    overlaps, fewest = 0, None
    for each in by_sync.values():
        spans = sorted((moment(one["started_at"]), moment(one["ended_at"])) for one in each if one not in cut)
        overlaps += sum(later[0] < earlier[1] for earlier, later in zip(spans, spans[1:]))
        fewest = len(spans) if fewest is None else min(fewest, len(spans))
    repeated = sum(each["cause"] == "cut_off" for each in runs)
    durations = sorted(each["duration_ms"] for each in runs if each["ended_at"])
    print(f"{len(runs)} runs of {len(by_sync)} syncs in {seconds} s, each due every {interval} s, {CONCURRENCY} at once")
    print(f"fewest runs of a sync: {fewest}; median duration {durations[len(durations) // 2]} ms")
    print(f"cut off by the kill: {len(cut)}, repeated: {repeated}; failed otherwise: {len(failed)}; overlaps: {overlaps}")
    # What the start, the kill and the end of the measurement cost, a sync may lack.
    expected = seconds // interval - 2
    if overlaps or failed or len(by_sync) < syncs or fewest < expected or repeated < len(cut):
        sys.exit(f"not as it should be: every sync was to run at least {expected} times, once at a time")


def wait_for(ready, what):
    for _ in range(600):
        if ready():
            return
        time.sleep(0.1)
    sys.exit(f"{what} did not come up")


if __name__ == "__main__":
    main()
