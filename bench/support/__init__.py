"""What the benchmarks share: programs that are timed with their peak memory, an S3 endpoint, PostgreSQL, tables of figures.

Not here: what is compared; each benchmark says that. Python's standard library alone.
"""

import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
TAPLINE = os.environ.get("TAPLINE_BIN", str(ROOT / "target/release/tapline"))


class Measured:
    """How a program ran: seconds of wall clock, seconds of processors, peak memory in MiB, its stdout."""

    def __init__(self, arguments, env=None, cwd=None, accept=(0,)):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started = time.monotonic()
            child = subprocess.Popen(arguments, stdout=out, stderr=err, env=env, cwd=cwd)
            _, status, usage = os.wait4(child.pid, 0)
            self.seconds = time.monotonic() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            self.stdout = out.read().decode()
            if child.returncode not in accept:
                words = " ".join(map(str, arguments))
                sys.exit(f"{words} ended with {child.returncode}:\n{err.read().decode()}{self.stdout}")
        self.processor = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss / 1024


def build_endpoint():
    """The program that serves a folder as a bucket, built with the features of the whole workspace, as the release is."""
    subprocess.run(["cargo", "build", "--release", "--workspace", "--example", "serve"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release/examples/serve"


class Bucket:
    """An S3 endpoint over a folder, in a process of its own."""

    def __init__(self, name, folder):
        self.name = name
        program = [str(build_endpoint()), name, str(folder)]
        self.child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, self.key, self.secret = self.child.stdout.readline().split()

    def put(self, key, file):
        self.child.stdin.write(f"put {key} {file}\n")
        self.child.stdin.flush()
        assert self.child.stdout.readline() == "done\n", "the endpoint did not take a file"

    def environment(self):
        """Variables by which AWS's own tools, and `tapline query` without a source, find the bucket."""
        return dict(
            os.environ,
            AWS_ACCESS_KEY_ID=self.key,
            AWS_SECRET_ACCESS_KEY=self.secret,
            AWS_REGION="us-east-1",
            AWS_ENDPOINT_URL=self.url,
        )

    def close(self):
        self.child.stdin.close()
        self.child.wait()


class Postgres:
    """The server of `cargo xtask services`."""

    def __init__(self):
        up = subprocess.run(["cargo", "xtask", "services", "up"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        exports = [shlex.split(line) for line in up.stdout.splitlines() if line.startswith("export ")]
        variables = dict(word.split("=", 1) for line in exports for word in line[1:])
        self.url = variables.get("TAPLINE_TEST_POSTGRES_URL")
        if not self.url:
            sys.exit("skipped: there is no PostgreSQL to measure with")
        parts = urllib.parse.urlsplit(self.url)
        versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/psql"))
        self.psql = str(versions[-1]) if versions else "psql"
        self.env = dict(os.environ, PGPASSWORD=urllib.parse.unquote(parts.password or ""))
        self.arguments = [
            "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
            "--host", parts.hostname, "--port", str(parts.port),
            "--username", urllib.parse.unquote(parts.username), "--dbname", parts.path.strip("/") or "postgres",
        ]

    def program(self, sql):
        return [self.psql, *self.arguments, "--set", "ON_ERROR_STOP=1", "--command", sql]

    def ask(self, sql):
        return subprocess.run(self.program(sql), env=self.env, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def close(self):
        subprocess.run(["cargo", "xtask", "services", "down"], cwd=ROOT, check=True)


def medians(runs):
    """Median seconds and greatest memory of several runs of the same."""
    return statistics.median(run.seconds for run in runs), max(run.memory for run in runs)


def table(heads, rows):
    """Prints rows under heads, as Markdown."""
    print(f"| {' | '.join(heads)} |")
    print(f"|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)
