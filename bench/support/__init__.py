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

# The columns of a file of customers, from the numbers of `generate_series`; `status` is left to each benchmark.
COLUMNS = """
    value AS id,
    'customer' || value || '@example.com' AS email,
    'First' || value % 5000 AS first_name,
    'Last' || value % 7919 AS last_name,
    CASE value % 5 WHEN 0 THEN 'DE' WHEN 1 THEN 'FR' WHEN 2 THEN 'US' WHEN 3 THEN 'JP' ELSE 'BR' END AS country,
    CAST(value % 100000 AS DOUBLE) / 8 AS balance,
    CAST(value * 7 % 1000 AS INT) AS points,
    value % 3 = 0 AS active,
    CAST('2020-01-01' AS DATE) + CAST(value % 1500 AS INT) AS signed_up,
    TIMESTAMP '2024-01-01 00:00:00' + INTERVAL '1 second' * (value % 30000000) AS updated_at,
    CASE WHEN value % 10 = 0 THEN NULL ELSE 'note of ' || value % 1000 END AS note,
    {status} AS status
"""


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
            self.stderr = err.read().decode()
            if child.returncode not in accept:
                words = " ".join(map(str, arguments))
                sys.exit(f"{words} ended with {child.returncode}:\n{self.stderr}{self.stdout}")
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


def services():
    """The variables by which the servers of `cargo xtask services` are found."""
    up = subprocess.run(["cargo", "xtask", "services", "up"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    exports = [shlex.split(line) for line in up.stdout.splitlines() if line.startswith("export ")]
    return dict(word.split("=", 1) for line in exports for word in line[1:])


class Postgres:
    """The server of `cargo xtask services`."""

    def __init__(self):
        self.url = services().get("TAPLINE_TEST_POSTGRES_URL")
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


class MariaDb:
    """The server of `cargo xtask services`."""

    def __init__(self):
        self.url = services().get("TAPLINE_TEST_MYSQL_URL")
        if not self.url:
            sys.exit("skipped: there is no MariaDB to measure with")
        parts = urllib.parse.urlsplit(self.url)
        self.env = dict(os.environ, MYSQL_PWD=urllib.parse.unquote(parts.password or ""))
        self.arguments = [
            "mariadb", "--no-defaults", "--protocol=tcp", "--host", parts.hostname, "--port", str(parts.port),
            "--user", urllib.parse.unquote(parts.username), "--default-character-set=utf8mb4", "--local-infile=1",
            "--batch", "--skip-column-names", parts.path.strip("/"),
        ]

    def ask(self, sql, nulls=False):
        """The rows as text; with `nulls`, NULL is written as LOAD DATA reads it."""
        done = subprocess.run([*self.arguments, "--execute", sql], env=self.env, stdout=subprocess.PIPE, text=True, check=True)
        lines = done.stdout.strip("\n")
        if not nulls:
            return lines
        written = ("\t".join("\\N" if cell == "NULL" else cell for cell in line.split("\t")) for line in lines.split("\n"))
        return "\n".join(written)

    def measured(self, sql):
        return Measured([*self.arguments, "--execute", sql], env=self.env)

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
