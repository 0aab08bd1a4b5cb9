#!/usr/bin/env python3
"""Requests and seconds of `check`, `discover` and a run's listing on a large bucket.

  cargo xtask bench listing [KEYS [FOLDERS [DELAY_MS]]]
"""
import sys

from support.served import Served

DEFAULTS = ["1000000", "100", "0"]
GIVEN = sys.argv[1:]
KEYS, FOLDERS, DELAY = (int(word) for word in GIVEN + DEFAULTS[len(GIVEN) :])

served = Served(KEYS, FOLDERS, DELAY)
print(f"{KEYS} keys in {FOLDERS} folders, {DELAY} ms added to each request")
print(f"{'command':52} {'exit':>4} {'seconds':>8} {'requests':>9} {'MiB':>6}")
last = f"s3://lake/exports/folder={FOLDERS - 1:04}/**"
for words in (
    ["check", "lake"],
    ["discover", "lake", "--format", "json"],
    ["query", "lake", f"SELECT count(*) FROM '{last}' WHERE false"],
):
    code, seconds, requests, _, memory = served.run(*words)
    print(f"{' '.join(words)[:52]:52} {code:4} {seconds:8.2f} {requests:9} {memory:6.0f}", flush=True)
served.close()
