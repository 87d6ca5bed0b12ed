"""The product as its users run it: `missioncontrol serve` in a process of its own, on a free loopback port.

    with running_server(tmp_path, MC_STREAM__MIN_INTERVAL_S="0.1") as server:
        server.post("/submit/telemetry/...", body)
        server.settle()
        rows = server.sql("SELECT ... FROM error_aggregates")

Nothing here reads the data folder behind the product's back; only HTTP and the command line are used.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.support.form import installed, on_spark

COMMAND = (sys.executable, "-m", "missioncontrol")
SOURCES = Path(__file__).parents[2] / "src"
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0
_PARTS_BESIDE_SPARK = "edge,web,crashes,jobs"
_LISTENS = re.compile(r"listens on http://(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)")


class RunningServer:
    """A server, its data folder and its port, which stay the same when it is stopped and started again."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.data = installed(folder / "data")
        self.port = 0
        self.only = ""
        """Parts of the server that run; empty: all."""
        self.process: subprocess.Popen[bytes] | None = None
        self._spark: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._talk = folder / "server.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MC_")}
        self._environment = {**inherited, "PYTHONPATH": str(SOURCES), **environment}

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def talk(self) -> str:
        """What the server and its children wrote to stdout and stderr, since the first start."""
        return self._talk.read_text(errors="replace")

    def start(self) -> None:
        """Start the server and wait until its heartbeat says that it can store."""
        assert self.process is None
        said = self._talk.stat().st_size if self._talk.exists() else 0
        with self._talk.open("ab") as talk:
            arguments = ["serve", "--data", str(self.data), "--port", str(self.port)]
            only = self.only
            if on_spark() and (not only or "stream" in only.split(",")):
                only = only.replace("stream", "").strip(",").replace(",,", ",") or _PARTS_BESIDE_SPARK
                stream = ["spark", "stream", "--wait", "--trigger-s", "0.2", "--data", str(self.data)]
                self._spark = self._popen(stream, stdout=talk, stderr=talk)
            arguments += ["--only", only] if only else []
            self.process = self._popen(arguments, stdout=talk, stderr=talk)
        self.wait_until(lambda: self._heard_port(said) and self._beats(), START_TIMEOUT_S)

    def stop(self) -> None:
        """Ask the server to end and wait for it; does nothing when it does not run."""
        if self._spark is not None:
            self._spark.send_signal(signal.SIGTERM)
            self._spark.wait(STOP_TIMEOUT_S)
            self._spark = None
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end within {STOP_TIMEOUT_S} s\n{self.talk}") from None
        self.process = None

    def kill(self) -> None:
        """End the server as `kill -9` does; its children must notice by themselves."""
        if self._spark is not None:
            self._spark.kill()
            self._spark.wait()
            self._spark = None
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def run(self, *arguments: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run another command on the same data folder; with `check` it must end with 0."""
        pipe = subprocess.PIPE
        child = self._popen(
            [*arguments, "--data", str(self.data)], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        try:
            out, err = child.communicate(stdin, timeout=120)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise AssertionError(f"{arguments}: not done within 120 s\n{err}\n{self.talk}") from None
        assert not check or child.returncode == 0, f"{arguments}: exit code {child.returncode}\n{err}"
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def settle(self) -> None:
        """Return when all that was accepted so far is in the lake."""
        self.run("stream", "--until-idle")

    def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query by POST /api/v1/sql; times are ISO 8601 text."""
        answer = httpx.post(f"{self.url}/api/v1/sql", json={"query": query}, timeout=60)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["results"]
        return rows

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET with query parameters; a list gives its parameter several times."""
        return httpx.get(self.url + path, params=parameters or None, timeout=60)

    def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """POST a body as it is; `content_encoding="gzip"` becomes the header Content-Encoding."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url + path, content=body, headers=names, timeout=60)

    def wait_until(
        self, condition: Callable[[], bool], timeout_s: float = 30.0, pause_s: float = 0.05
    ) -> None:
        """Wait for a condition; fails when the server ends meanwhile, or after `timeout_s`."""
        if on_spark():  # which takes long to start, and then a second or two for each batch
            timeout_s *= 5
        ends = time.monotonic() + timeout_s
        while not condition():
            assert self.process is not None and self.process.poll() is None, f"the server ended\n{self.talk}"
            assert time.monotonic() < ends, f"waited {timeout_s} s in vain\n{self.talk}"
            time.sleep(pause_s)

    def _popen(self, arguments: list[str], **options: Any) -> subprocess.Popen[Any]:
        # The working folder is the test's own, so that no missioncontrol.toml of a developer is read.
        command = [*COMMAND, *arguments]
        options = {"stdin": subprocess.DEVNULL, **options}
        return subprocess.Popen(command, cwd=self._folder, env=self._environment, **options)

    def _heard_port(self, said: int) -> bool:
        """Learn the port that the system chose from what the server says after `said` bytes of talk."""
        match = _LISTENS.search(self._talk.read_bytes()[said:].decode(errors="replace"))
        if match:
            self.port = int(match[1])
        return match is not None

    def _beats(self) -> bool:
        try:
            return httpx.get(f"{self.url}/__heartbeat__", timeout=10).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_server(folder: Path, **environment: str) -> Iterator[RunningServer]:
    """A started server with its data in `folder`/data, stopped at the end; `environment` holds MC_* settings.

    Files that must stand in the data folder before the start (registry.toml) can be written there beforehand.
    """
    server = RunningServer(folder, environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
