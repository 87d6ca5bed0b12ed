"""Who is at work on a data folder: each process of the server says every few seconds that it is there.

    process -> data/processes/<machine>-<pid>.json -> page /pipeline, /metrics

Nothing is decided by these files; whoever holds a lock is who does the work. A process that cannot write its file (the
disk is full, the folder is read-only) works on. A process that was killed leaves its file, which the next one on that
machine removes.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from missioncontrol.small_file import replace_file

FOLDER = "processes"
EVERY_S = 10.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PROC = Path("/proc")
_LONGEST_NAME = 60
_GIVEN_UP_AFTER = timedelta(days=1)


class Worker(msgspec.Struct, frozen=True):
    """A process that another one started."""

    pid: int
    name: str
    memory_bytes: int | None = None
    cpu_share: float | None = None
    """Of one processor, since the beat before."""


class Presence(msgspec.Struct, frozen=True):
    """A process of the server as it described itself last."""

    pid: int
    machine: str
    parts: tuple[str, ...]
    started_at: datetime
    beat_at: datetime
    python: str
    product: str
    memory_bytes: int | None = None
    """Resident; None: this system does not tell."""
    cpu_share: float | None = None
    workers: tuple[Worker, ...] = ()
    """Processes that it started, and theirs."""


class Beats:
    """Writes the file of this process until it is stopped. A `with` block."""

    def __init__(self, data: Path, parts: Sequence[str], product: str) -> None:
        self._path = data / FOLDER / f"{_machine()}-{os.getpid()}.json"
        self._stop = threading.Event()
        self._parts, self._product = tuple(parts), product
        self._started = datetime.now(UTC)
        self._cpu: dict[int, tuple[float, float]] = {}
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def __enter__(self) -> Beats:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return

    def _run(self) -> None:
        _forget_dead(self._path.parent)
        self.beat()
        while not self._stop.wait(EVERY_S):
            self.beat()

    def beat(self) -> None:
        """Write the file now."""
        seen = dict[int, tuple[float, float]]()
        own = self._measured(os.getpid(), "", seen)
        workers = tuple(self._measured(pid, _name(pid), seen) for pid in _descendants(os.getpid()))
        self._cpu = seen
        presence = Presence(
            pid=own.pid,
            machine=_machine(),
            parts=self._parts,
            started_at=self._started,
            beat_at=datetime.now(UTC),
            python=sys.version.split()[0],
            product=self._product,
            memory_bytes=own.memory_bytes,
            cpu_share=own.cpu_share,
            workers=workers,
        )
        replace_file(self._path, msgspec.json.encode(presence))

    def _measured(self, pid: int, name: str, seen: dict[int, tuple[float, float]]) -> Worker:
        memory, cpu_s, now_s = _memory_bytes(pid), _cpu_s(pid), time.monotonic()
        share = None
        if cpu_s is not None:
            seen[pid] = cpu_s, now_s
            before = self._cpu.get(pid)
            if before is not None and cpu_s >= before[0] and now_s > before[1]:
                share = (cpu_s - before[0]) / (now_s - before[1])
        return Worker(pid, name, memory, share)


def presences(data: Path) -> list[Presence]:
    """What is said of all processes, in the order of their start; those that are known to be gone are left out."""
    found = []
    for path in _files(data / FOLDER):
        try:
            presence = msgspec.json.decode(path.read_bytes(), type=Presence)
        except (OSError, msgspec.DecodeError):
            continue
        if not _gone(presence):
            found.append(presence)
    return _each_once(sorted(found, key=lambda p: (p.started_at, p.pid)))


def _each_once(found: Sequence[Presence]) -> list[Presence]:
    """Without workers that speak for themselves, and those of these."""
    kept = []
    for one in found:
        own = {worker.pid for worker in one.workers}
        below = [other for other in found if other.machine == one.machine and other.pid in own]
        known = {pid for other in below for pid in (other.pid, *(w.pid for w in other.workers))}
        workers = tuple(worker for worker in one.workers if worker.pid not in known)
        kept.append(msgspec.structs.replace(one, workers=workers))
    return kept


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.json"))
    except OSError:
        return []


def _forget_dead(folder: Path) -> None:
    """Remove what processes of this machine left that were killed."""
    for path in _files(folder):
        try:
            if _gone(msgspec.json.decode(path.read_bytes(), type=Presence)):
                path.unlink()
        except (OSError, msgspec.DecodeError):
            continue


def _gone(presence: Presence) -> bool:
    """Whether it is known that it ended. One of another machine is given up after a day."""
    if presence.machine != _machine():
        return abs(datetime.now(UTC) - presence.beat_at) > _GIVEN_UP_AFTER
    try:
        os.kill(presence.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    return socket.gethostname().replace("/", "_") or "unknown"


def _descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that these did; nothing where the system does not tell."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < 100:
        try:
            tasks = list((_PROC / str(waiting.pop()) / "task").iterdir())
        except OSError:
            continue
        for task in tasks:
            children = [int(child) for child in _read(task / "children").split()]
            found += children
            waiting += children
    return found


def _name(pid: int) -> str:
    """What a process does: the command of ours that it runs, or the name of its program."""
    words = _read(_PROC / str(pid) / "cmdline").split("\0")
    for at, word in enumerate(words):
        if word == "-m" and at + 1 < len(words):
            module = words[at + 1]
            rest = _without_options(words[at + 2 :])
            return f"{module.removeprefix('missioncontrol.')} {rest}".strip()[:_LONGEST_NAME]
    return Path(words[0]).name[:_LONGEST_NAME] if words[0] else "process"


def _without_options(words: Sequence[str]) -> str:
    """`--data DIR serve --only jobs` as `serve jobs`: paths are nobody's business."""
    kept, skip = [], False
    for word in words:
        if skip or word.startswith("-"):
            skip = not skip and word in ("--data", "--config", "--host", "--port")
            continue
        kept.append(word)
    return " ".join(kept)


def _memory_bytes(pid: int) -> int | None:
    fields = _read(_PROC / str(pid) / "statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else None


def _cpu_s(pid: int) -> float | None:
    """Processor time that a process used; its name, which may hold anything, stands in brackets before."""
    _, found, rest = _read(_PROC / str(pid) / "stat").rpartition(")")
    fields = rest.split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if found and len(fields) > 12 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
