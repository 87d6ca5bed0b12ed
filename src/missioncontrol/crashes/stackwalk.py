"""Walks the stacks of minidumps: the client of the long-lived process `missioncontrol-stackwalk`.

    dump on disk -> Stackwalker.walk() -> Walk (rust-minidump's JSON, or the name of what went wrong)

The process keeps parsed symbols between dumps. A dump can hang it, crash it or ask for more memory than it may
have: then that walk has an error, the process is ended, and the next walk starts another. `walk()` never raises for
what is wrong with a dump or with symbols.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from missioncontrol.crashes.stackwalk_process import DeadlinePassed, Ended, WorkerProcess
from missioncontrol.errors import MissionControlError

PROGRAM = "missioncontrol-stackwalk"
PROGRAM_VARIABLE = "MC_STACKWALK__PROGRAM"
KNOWN_ANNOTATIONS = ("ModuleSignatureInfo", "CPUMicrocodeVersion")
"""What rust-minidump takes from annotations; nothing else of them reaches the process."""
_LONGEST_ANNOTATION = 1 << 20
_TELL_TIMEOUT_S = 5.0
_MB = 1 << 20


class ModuleSymbols(msgspec.Struct, frozen=True):
    """What became of the symbols of a module that was met on a stack."""

    debug_file: str
    debug_id: str
    filename: str
    status: str
    """`loaded`, `names_only` (loaded, without lines of source), `missing`, `corrupt`, `lying` (names another debug id),
    `too_large` (for the memory that there is), `unreadable`, `unidentified`.
    """


class SymbolCounts(msgspec.Struct, frozen=True):
    """How many modules of this dump had symbols; `corrupt` counts all that were there and could not be used."""

    loaded: int = 0
    missing: int = 0
    corrupt: int = 0
    modules: list[ModuleSymbols] = []


class CacheStats(msgspec.Struct, frozen=True):
    """The symbols that the process keeps, and how often they were there, counted since it was started."""

    bytes: int = 0
    entries: int = 0
    hits: int = 0
    misses: int = 0


class Walk(msgspec.Struct, frozen=True):
    """How the walk of one dump ended: with `state`, or with `error`."""

    state: dict[str, Any] | None = None
    """rust-minidump's JSON."""
    error: str = ""
    """Empty when fine; else the name of rust-minidump's error, or `EmptyMinidump`, `Timeout`, `MemoryLimit`, `Killed`,
    `Panic`, `AnswerTooLarge`, `BadAnswer`."""
    detail: str = ""
    symbols: SymbolCounts = SymbolCounts()
    cache: CacheStats = CacheStats()


def find_program(program: Path | None = None) -> Path:
    """The program: as given, as `MC_STACKWALK__PROGRAM` says, beside this Python's scripts, or on PATH.

    Raises `MissionControlError` (`stackwalk_missing`) when it is nowhere.
    """
    named = program or os.environ.get(PROGRAM_VARIABLE)
    if named:
        return _checked(Path(named))
    beside = Path(sysconfig.get_path("scripts")) / PROGRAM
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise _missing(f"The program {PROGRAM} is neither in {beside.parent} nor on PATH")
    return Path(found)


class Stackwalker:
    """Walks one dump at a time; callers in other threads wait for their turn."""

    def __init__(
        self,
        program: Path | None = None,
        symbols: Sequence[Path] = (),
        cache_mb: int = 512,
        memory_limit_mb: int = 2048,
        timeout_s: float = 60.0,
        missing_ttl_s: float = 60.0,
        jobs_per_process: int = 10_000,
    ) -> None:
        """`symbols` are folders in Breakpad's layout; `timeout_s` holds for each dump; 0 MB of memory: no limit."""
        self._command = [
            str(find_program(program)),
            *("--cache-mb", str(cache_mb)),
            *("--memory-mb", str(memory_limit_mb)),
            *("--missing-ttl-s", str(missing_ttl_s)),
            *(option for root in symbols for option in ("--symbols", str(root.absolute()))),
        ]
        self._memory_limit_bytes = memory_limit_mb * _MB
        self._timeout_s = timeout_s
        self._jobs_per_process = jobs_per_process
        self._process: WorkerProcess | None = None
        self._jobs = 0
        self._turn = threading.Lock()

    def __enter__(self) -> Stackwalker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running process, if there is one."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    def walk(self, dump: Path, annotations: Mapping[str, str] | None = None) -> Walk:
        """Walk the minidump in a file. Raises `MissionControlError` only when the program cannot be started."""
        try:
            if dump.stat().st_size == 0:
                return Walk(error="EmptyMinidump", detail="The dump has no bytes")
        except OSError as error:
            return Walk(error="FileNotFound", detail=f"{dump.name}: {error.strerror}")
        with self._turn:
            return self._walk(dump, annotations or {})

    def forget_missing(self) -> None:
        """Look again for symbols that were missing or could not be used: some have arrived."""
        self._forget("missing")

    def forget(self, symbols: Sequence[tuple[str, str]]) -> None:
        """Read the symbols of these (debug file, debug id) again: they have changed."""
        self._forget(list(symbols))

    def close(self) -> None:
        """End the process; a walk in progress ends as `Killed`. A walk after that starts another."""
        process = self._process
        if process is not None:
            process.interrupt()
        with self._turn:
            self._end()

    def _walk(self, dump: Path, annotations: Mapping[str, str]) -> Walk:
        process = self._running()
        self._jobs += 1
        evil = {k: v for k in KNOWN_ANNOTATIONS if (v := annotations.get(k)) and len(v) < _LONGEST_ANNOTATION}
        job = {"id": self._jobs, "dump": str(dump.absolute()), **({"evil": evil} if evil else {})}
        try:
            walk = _decode(process.ask(msgspec.json.encode(job) + b"\n", self._timeout_s), self._jobs)
        except DeadlinePassed:
            walk = Walk(error="Timeout", detail=f"No answer within {self._timeout_s:g} s")
        except Ended as ended:
            walk = Walk(error="MemoryLimit" if ended.out_of_memory else "Killed", detail=ended.describe())
        if walk.error in ("Timeout", "MemoryLimit", "Killed", "BadAnswer") or self._worn_out(process):
            self._end()
        return walk

    def _running(self) -> WorkerProcess:
        if self._process is not None and not self._process.alive:
            self._end()
        if self._process is None:
            self._process = WorkerProcess(self._command)
            self._jobs = 0
        return self._process

    def _worn_out(self, process: WorkerProcess) -> bool:
        """The process counts its heap; what it lost to fragmentation only the system knows."""
        fat = 0 < self._memory_limit_bytes < process.resident_bytes()
        return fat or self._jobs >= self._jobs_per_process

    def _forget(self, what: Any) -> None:
        with self._turn:
            if self._process is None or not self._process.alive:
                return
            try:
                self._process.tell(msgspec.json.encode({"forget": what}) + b"\n", _TELL_TIMEOUT_S)
            except (DeadlinePassed, Ended):
                self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


class _Answer(msgspec.Struct, frozen=True):
    id: int | None
    state: dict[str, Any] | None = None
    error: str = ""
    detail: str = ""
    symbols: SymbolCounts = SymbolCounts()
    cache: CacheStats = CacheStats()


_DECODER = msgspec.json.Decoder(_Answer)


def _decode(line: bytes, job: int) -> Walk:
    try:
        answer = _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        return Walk(error="BadAnswer", detail=str(error))
    if answer.id != job or (answer.state is None) != bool(answer.error):
        return Walk(error="BadAnswer", detail=answer.detail or "The answer is to another job")
    return Walk(answer.state, answer.error, answer.detail, answer.symbols, answer.cache)


def _checked(program: Path) -> Path:
    if not os.access(program, os.X_OK) or program.is_dir():
        raise _missing(f"{program} is not a program")
    return program.absolute()


def _missing(message: str) -> MissionControlError:
    return MissionControlError(
        "stackwalk_missing",
        message,
        f"Install it with `pip install ./stackwalk` (it needs cargo), or name it in {PROGRAM_VARIABLE}",
    )
