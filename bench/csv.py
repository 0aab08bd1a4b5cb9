#!/usr/bin/env python3
"""Reads large CSV files side by side: Tapline, DuckDB, plain DataFusion.

Each round runs every program once, one after the other, so that all of them see the same machine. Shown are medians, ratios to Tapline and
the most memory a program held. Before that, every program's answers are compared with Tapline's, outside of the measured time.

    cargo xtask bench csv [--rows N] [--rounds N] [--keep FOLDER]

TAPLINE_BIN is the binary to measure. DuckDB is measured where Python has the package `duckdb`, plain DataFusion where DATAFUSION_BIN names the
engine's example `plain_datafusion`; a missing one is skipped with a word.
"""

import argparse
import hashlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

DUCKDB = """
import sys
import duckdb
duckdb.sql("SET enable_progress_bar = false")
result = duckdb.sql(sys.argv[1])
if sys.argv[2] == "stream":
    import pyarrow
    batches = result.to_arrow_reader(8192)
    with pyarrow.ipc.new_stream(sys.stdout.buffer, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
else:
    print("\\n".join(",".join(str(cell) for cell in row) for row in result.fetchall()))
"""

# What can be told of an Arrow stream whatever the order of its rows. In a process of its own, as what a program inherits from this one counts as
# memory that it held.
STREAM_ANSWER = """
import sys
import pyarrow
import pyarrow.compute as compute
rows = identities = notes = days = 0
amounts = 0.0
for batch in pyarrow.ipc.open_stream(sys.stdin.buffer):
    rows += batch.num_rows
    identities += compute.sum(batch["id"]).as_py() or 0
    amounts += compute.sum(batch["amount"]).as_py() or 0
    notes += compute.sum(compute.utf8_length(batch["note"].cast("string"))).as_py() or 0
    days += compute.sum(batch["ordered_on"].cast("date32").cast("int32")).as_py() or 0
print(rows, identities, amounts, notes, days)
"""

QUERIES = {
    "select *": ("SELECT * FROM '{file}'", "stream"),
    "count(*)": ("SELECT count(*) AS n FROM '{file}'", "rows"),
    "filter + group": (
        "SELECT city, count(*) AS n, sum(amount) AS total FROM '{file}' WHERE amount > 500 GROUP BY city ORDER BY city",
        "rows",
    ),
}


def write_file(path, rows, quoted):
    """Rows of about 150 bytes; where `quoted`, every note holds a line break, a comma and a quote."""
    # Two lines of text, of which the second one is as long as it has to be.
    text = "the customer called about an order that had not arrived yet; asked where it is and for"
    with open(path, "w", newline="") as file:
        file.write("id,customer,city,amount,ordered_on,express,note\n")
        block = []
        for number in range(rows):
            mixed = number * 2654435761 % 4294967296
            amount = f"{mixed % 1000}.{(25, 5, 75)[mixed % 3]}"
            day = f"20{10 + mixed % 15}-{1 + mixed % 12:02}-{1 + mixed % 28:02}"
            note = f'"{text},\n a ""{mixed % 977}"""' if quoted else f"{text} {mixed % 977}"
            block.append(
                f"{number},customer {mixed % 50000},city {mixed % 300},{amount},{day},{'true' if mixed % 2 else 'false'},{note}\n"
            )
            if len(block) == 50_000:
                file.write("".join(block))
                block.clear()
        file.write("".join(block))


def programs():
    """How each program is run: name to a function from query, kind and whether values hold line breaks to a command."""
    found = {}
    tapline = os.environ.get("TAPLINE_BIN")
    if not tapline:
        sys.exit("TAPLINE_BIN is not set; run this as: cargo xtask bench csv")
    formats = {"stream": "arrow", "rows": "csv"}
    found["tapline"] = lambda sql, kind, quoted: [tapline, "query", sql, "--format", formats[kind]]
    if subprocess.run([sys.executable, "-c", "import duckdb, pyarrow"], stderr=subprocess.DEVNULL).returncode == 0:
        found["duckdb"] = lambda sql, kind, quoted: [sys.executable, "-c", DUCKDB, sql, kind]
    else:
        print("skipped: duckdb (Python lacks the packages duckdb and pyarrow)")
    datafusion = os.environ.get("DATAFUSION_BIN")
    if datafusion:
        found["datafusion"] = lambda sql, kind, quoted: [datafusion, sql, kind, "newlines" if quoted else "plain"]
    else:
        print("skipped: datafusion (DATAFUSION_BIN is not set)")
    return found


def run(command, consume):
    """Runs a program to its end; gives seconds, the most memory in MiB, and what `consume` makes of its output."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    answer = consume(process.stdout)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed: {errors.decode(errors='replace')}")
    return seconds, usage.ru_maxrss / 1024, answer


def drain(output):
    """Reads an output as fast as it comes."""
    size = 0
    while block := output.read(1 << 20):
        size += len(block)
    return size


def rows_answer(output):
    """Numbers and words of a short result, however they are punctuated and whether or not there is a header."""
    lines = [line.split(",") for line in output.read().decode().split()]
    text = " ".join(" ".join(line) for line in lines if not {"n", "count(*)"} & set(line))
    return hashlib.sha256(text.encode()).hexdigest()


def stream_answer(output):
    """Sums over an Arrow stream, for which Python needs pyarrow."""
    told = subprocess.run([sys.executable, "-c", STREAM_ANSWER], stdin=output, capture_output=True)
    if told.returncode != 0:
        sys.exit(f"an Arrow stream cannot be read: {told.stderr.decode(errors='replace')}")
    return told.stdout


def compare(found, sql, kind, quoted):
    """Makes sure that all programs give the same answer."""
    answers = {}
    for name, command in found.items():
        _, _, answers[name] = run(command(sql, kind, quoted), stream_answer if kind == "stream" else rows_answer)
    wrong = [name for name, answer in answers.items() if answer != answers["tapline"]]
    if wrong:
        sys.exit(f"{sql}: {', '.join(wrong)} differs from tapline: {answers}")


def measure(found, path, quoted, rounds):
    size = path.stat().st_size
    print(f"\n{path.name}: {size / 1e9:.2f} GB{', line breaks in quotes' if quoted else ''}")
    print(f"{'':16}{'':12}{'seconds':>9}{'MB/s':>8}{'ratio':>8}{'memory':>12}")
    for title, (sql, kind) in QUERIES.items():
        sql = sql.format(file=path)
        compare(found, sql, kind, quoted)
        seconds, memory = {name: [] for name in found}, {name: [] for name in found}
        for _ in range(rounds):
            for name, command in found.items():
                taken, held, _ = run(command(sql, kind, quoted), drain)
                seconds[name].append(taken)
                memory[name].append(held)
        base = statistics.median(seconds["tapline"])
        for name in found:
            median = statistics.median(seconds[name])
            speed = size / 1e6 / median
            print(f"{title:16}{name:12}{median:9.2f}{speed:8.0f}{median / base:8.2f}{max(memory[name]):8.0f} MiB")
            title = ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=pathlib.Path, help="folder in which the files are kept for the next time")
    arguments = parser.parse_args()
    found = programs()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, quoted in (("plain", False), ("quoted", True)):
            path = folder / f"{name}_{arguments.rows}.csv"
            if not path.exists():
                write_file(path, arguments.rows, quoted)
            measure(found, path, quoted, arguments.rounds)


if __name__ == "__main__":
    main()
