"""The endpoint of the tests in a process of its own, and the binary asked against it.

Used by the other scripts here; measures nothing by itself.
"""
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Served:
    """An endpoint with so many small keys, or with the files of a folder below `files/`, and a project beside it."""

    def __init__(self, keys: int = 0, folders: int = 1, delay_ms: int = 0, files: str | None = None):
        subprocess.run(["cargo", "build", "--workspace", "--example", "lake"], cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        words = [target / "debug" / "examples" / "lake", str(keys), str(folders), str(delay_ms), *([files] if files else [])]
        self.server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, self.key, self.secret = self.server.stdout.readline().split()
        self.folder = tempfile.TemporaryDirectory()
        auth = f"{{ type: iam_user, access_key_id: {self.key}, secret_access_key: {self.secret} }}"
        source = f"{{ type: s3, bucket: lake, region: us-east-1, endpoint: '{self.url}', auth: {auth} }}"
        pathlib.Path(self.folder.name, "tapline.yaml").write_text(f"version: 1\nsources:\n  lake: {source}\n")

    def traffic(self) -> tuple[int, int]:
        """Requests and bytes since the last call."""
        self.server.stdin.write("?")
        self.server.stdin.flush()
        requests, sent = self.server.stdout.readline().split()
        return int(requests), int(sent)

    def run(self, *words: str) -> tuple[int, float, int, int, float]:
        """Runs the binary: its exit code, seconds, requests, bytes, and the most memory in MiB."""
        self.traffic()
        started = time.perf_counter()
        process = subprocess.Popen(
            [os.environ["TAPLINE_BIN"], *words], cwd=self.folder.name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        requests, sent = self.traffic()
        return os.waitstatus_to_exitcode(status), seconds, requests, sent, usage.ru_maxrss / 1024

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait()
        self.folder.cleanup()
