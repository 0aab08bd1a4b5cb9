#!/usr/bin/env python3
"""Requests and seconds of `check`, `discover` and a run's listing on a large bucket.

  cargo xtask bench listing [KEYS [FOLDERS [DELAY_MS]]]

Starts the endpoint of the tests with that many keys, in a process of its own, and asks the binary of TAPLINE_BIN.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYS, FOLDERS, DELAY = (int(word) for word in (sys.argv[1:] + ["1000000", "100", "0"][len(sys.argv) - 1 :]))


def endpoint() -> subprocess.Popen:
    subprocess.run(["cargo", "build", "--workspace", "--example", "many_keys"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    program = target / "debug" / "examples" / "many_keys"
    return subprocess.Popen(
        [program, str(KEYS), str(FOLDERS), str(DELAY)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def main() -> None:
    server = endpoint()
    url, key, secret = server.stdout.readline().split()

    def requests() -> int:
        server.stdin.write("?")
        server.stdin.flush()
        return int(server.stdout.readline())

    with tempfile.TemporaryDirectory() as folder:
        auth = f"{{ type: iam_user, access_key_id: {key}, secret_access_key: {secret} }}"
        source = f"{{ type: s3, bucket: lake, region: us-east-1, endpoint: '{url}', auth: {auth} }}"
        pathlib.Path(folder, "tapline.yaml").write_text(f"version: 1\nsources:\n  lake: {source}\n")
        print(f"{KEYS} keys in {FOLDERS} folders, {DELAY} ms added to each request")
        print(f"{'command':44} {'exit':>4} {'seconds':>8} {'requests':>9}")
        last = f"s3://lake/exports/folder={FOLDERS - 1:04}/**"
        for words in (
            ["check", "lake"],
            ["discover", "lake", "--format", "json"],
            ["query", "lake", f"SELECT count(*) FROM '{last}' WHERE false"],
        ):
            requests()
            started = time.perf_counter()
            ended = subprocess.run(
                [os.environ["TAPLINE_BIN"], *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            seconds = time.perf_counter() - started
            shown = " ".join(words)[:44]
            print(f"{shown:44} {ended.returncode:4} {seconds:8.2f} {requests():9}", flush=True)
    server.stdin.close()
    server.wait()


main()
