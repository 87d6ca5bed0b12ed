"""SQL by users: each query runs in a process of its own, fenced and limited, and its answer is passed on as
it comes.

The server itself never runs the query and never loads DuckDB for it. Here: the job, the process, its deadline
and its report; what is allowed is decided in `fence.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from missioncontrol.config import Query as Settings
from missioncontrol.errors import BadRequest, MissionControlError, StorageError, TooSlow
from missioncontrol.query.fence import refuse_long
from missioncontrol.query.formats import Envelope, Format
from missioncontrol.query.job import Failure, Job, Report
from missioncontrol.query.rows import ResultColumn, too_large, too_slow
from missioncontrol.query.running import Stop, stopped
from missioncontrol.query.views import views
from missioncontrol.registry.model import Registry

if TYPE_CHECKING:
    from missioncontrol.lake.snapshot import LakeReader

DIALECTS = ("duckdb", "presto", "postgres")
_CHUNK_BYTES = 65536
_REPORT_BYTES = 1_000_000
_KILL_AFTER_S = 2.0
_LEFT_AFTER_S = 86_400.0


class SqlOutcome(msgspec.Struct, frozen=True):
    """What was written to the sink."""

    columns: list[ResultColumn]
    rows: int
    complete: bool
    """False: there are more rows than were asked for."""


class SqlRunner:
    """Runs SQL of users over the lake as it is now. Thread-safe; blocks."""

    def __init__(
        self,
        reader: LakeReader,
        registry_source: Callable[[], Registry],
        settings: Settings,
        spill_path: Path,
    ) -> None:
        self._reader = reader
        self._spill_path = spill_path
        self._registry_source = registry_source
        self._settings = settings

    def run(
        self,
        query: str,
        sink: BinaryIO,
        form: Format = "json",
        envelope: Envelope = "list",
        dialect: str = "duckdb",
        max_rows: int | None = None,
        timeout_s: float | None = None,
        with_protected: bool = True,
        seen: Callable[[Sequence[str]], None] | None = None,
        stop: Stop | None = None,
    ) -> SqlOutcome:
        """Write the answer to `sink` while it comes.

        `timeout_s`: None is the configured limit, 0 is none. `with_protected`: protected columns exist; `seen` is
        told, before this returns or raises, of which tables they could be read. `stop` ends it from another thread.
        On an error the sink may hold the beginning of an answer.
        Raises `BadRequest` (`sql_refused`, `sql_invalid`, `sql_failed`, `sql_too_long`, `unknown_table`,
        `unknown_dialect`, `query_memory`, `query_stopped`, `not_in_format`), `TooSlow` (`query_timeout`) and
        `StorageError`.
        """
        _refuse_dialect(dialect)
        refuse_long(query)
        limit_s = self._settings.timeout_s if timeout_s is None else timeout_s
        job = Job(
            query=query.encode("utf-8", "replace").decode(),
            dialect=dialect,
            views=views(self._reader, self._registry_source(), dialect, with_protected, query),
            with_protected=with_protected,
            form=form,
            envelope=envelope,
            max_rows=max_rows,
            timeout_s=limit_s,
            memory_limit_mb=self._settings.memory_limit_mb,
            threads=self._settings.threads,
            spill_path="",
            spill_limit_mb=self._settings.spill_limit_mb,
        )
        stop = stop or Stop()
        if stop.asked:
            raise stopped()
        _tidy(self._spill_path)
        with tempfile.TemporaryDirectory(prefix="query-", dir=self._spill_path) as spill:
            report = _Process(msgspec.structs.replace(job, spill_path=spill), stop).pass_on(sink)
        if report.protected and seen is not None:
            seen(report.protected)
        if report.failure is not None:
            raise _raised(report.failure)
        return SqlOutcome(report.columns, report.rows, report.complete)


def _tidy(spill_path: Path) -> None:
    """Make the folder, and delete what queries left there whose server was killed."""
    spill_path.mkdir(parents=True, exist_ok=True)
    for left in spill_path.iterdir():
        if time.time() - left.stat().st_mtime > _LEFT_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)


class _Process:
    """One worker process and its pipes."""

    def __init__(self, job: Job, stop: Stop) -> None:
        self._job = job
        self._stop = stop
        self._killed = False
        self._said = b""

    def pass_on(self, sink: BinaryIO) -> Report:
        """Copy what the worker writes to the sink; its report, or what its silence means."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "missioncontrol.query.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            cwd="/",
        )
        self._stop.watch(process)
        timer = self._timer(process)
        listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
        listener.start()
        try:
            self._send(process)
            _copy(process, sink)
            code = process.wait()
        finally:
            # Also when the sink is gone: nobody waits for this answer any more.
            process.kill()
            process.wait()
            if timer:
                timer.cancel()
            listener.join()
            _close(process)
        return self._report(code)

    def _timer(self, process: subprocess.Popen[bytes]) -> threading.Timer | None:
        """Kills a worker that does not notice its own deadline."""
        if not self._job.timeout_s:
            return None
        timer = threading.Timer(self._job.timeout_s + _KILL_AFTER_S, self._kill, (process,))
        timer.daemon = True
        timer.start()
        return timer

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        self._killed = True
        process.kill()

    def _send(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        try:
            process.stdin.write(msgspec.json.encode(self._job) + b"\n")
            # Stays open: its end tells the worker that this process has ended.
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it died; its report, or the lack of one, says why

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        while chunk := process.stderr.read(_CHUNK_BYTES):
            self._said = (self._said + chunk)[-_REPORT_BYTES:]

    def _report(self, code: int) -> Report:
        try:
            return msgspec.json.decode(self._said.strip().rpartition(b"\n")[2], type=Report)
        except msgspec.DecodeError:
            return Report(failure=_failure(self._died(code)))

    def _died(self, code: int) -> MissionControlError:
        if self._stop.asked:
            return stopped()
        if self._killed or code == -24:  # SIGXCPU: its CPU time was used up
            return too_slow(self._job.timeout_s)
        if code < 0 or b"MemoryError" in self._said or b"bad_alloc" in self._said:
            return too_large()
        return StorageError(
            "query_failed", f"The process of the query ended with {code}.", "See the server's log."
        )


def _copy(process: subprocess.Popen[bytes], sink: BinaryIO) -> None:
    assert process.stdout
    while chunk := process.stdout.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
        sink.write(chunk)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        try:
            if pipe:
                pipe.close()
        except BrokenPipeError:
            pass  # the rest of a job that a dead worker never read


def _environment() -> dict[str, str]:
    """What the worker needs and nothing else: the server's environment may hold secrets."""
    path = os.pathsep.join(p for p in sys.path if p)
    return {
        "PYTHONPATH": path,
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _refuse_dialect(dialect: str) -> None:
    if dialect not in DIALECTS:
        hint = f"Known: {', '.join(DIALECTS)}."
        raise BadRequest("unknown_dialect", f"SQL of the dialect {dialect[:80]!r} is not understood.", hint)


def _failure(error: MissionControlError) -> Failure:
    return Failure(error.status, error.code, error.message, error.hint)


def _raised(failure: Failure) -> MissionControlError:
    kinds: dict[int, type[MissionControlError]] = {400: BadRequest, 503: TooSlow}
    return kinds.get(failure.status, StorageError)(failure.code, failure.message, failure.hint)
