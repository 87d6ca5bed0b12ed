"""Previews in a process of their own: one at a time, of low priority, within limits of time and memory.

What clients sent is read there, so that neither a slow archive nor a hostile ping takes anything of the server.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from missioncontrol.config import LakePlace
from missioncontrol.errors import MissionControlError, StorageError, TooSlow
from missioncontrol.registry import Registry

if TYPE_CHECKING:
    from missioncontrol.telemetry.preview import Preview, Survey

_WAIT_S = 10.0
"""For the turn of another preview."""
_MEMORY_BYTES = 4 * 1024**3
_NICENESS = 10
_Work = Callable[..., Any]


class Failure(msgspec.Struct, frozen=True):
    """Why the child has no answer."""

    code: str
    message: str
    hint: str = ""


class Previews:
    """Runs previews of one installation. Thread-safe; calls block."""

    def __init__(
        self, lake: LakePlace | Path, cache_path: Path, max_inflated_bytes: int, timeout_s: float = 30.0
    ) -> None:
        self._paths = (lake, cache_path)
        self._max_inflated_bytes = max_inflated_bytes
        self._timeout_s = timeout_s
        self._turn = threading.Lock()

    def preview(self, registry: Registry, name: str) -> Preview:
        """What the newest pings hold. Raises `TooSlow` (`preview_too_slow`, `preview_busy`), `StorageError`."""
        return cast("Preview", self._run("preview", registry, (name,)))

    def survey(self, registry: Registry, dimensions: list[str], measures: list[str]) -> Survey | None:
        """What a sample of the last day holds. Raises as `preview`."""
        return cast("Survey | None", self._run("survey", registry, (dimensions, measures)))

    def _run(self, what: str, registry: Registry, arguments: tuple[Any, ...]) -> Any:
        if not self._turn.acquire(timeout=_WAIT_S):
            raise TooSlow("preview_busy", "Another preview is under way.", "Try again in a moment.", 10)
        try:
            return self._answer(what, registry, arguments)
        finally:
            self._turn.release()

    def _answer(self, what: str, registry: Registry, arguments: tuple[Any, ...]) -> Any:
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe(duplex=False)
        process = spawn.Process(
            target=_child,
            args=(theirs, os.getpid(), what, self._paths, registry, arguments, self._max_inflated_bytes),
            name="preview",
            daemon=True,
        )
        process.start()
        theirs.close()
        try:
            if not ours.poll(self._timeout_s):
                hint = "Nothing was changed. It can be saved without a preview, or tried again."
                message = f"The preview took longer than {self._timeout_s:.0f} s and was stopped."
                raise TooSlow("preview_too_slow", message, hint)
            answer = ours.recv()
        except EOFError:
            process.join()
            message = f"The preview ended by itself ({process.exitcode})."
            raise StorageError("preview_ended", message, "Nothing was changed.") from None
        finally:
            process.kill()
            process.join()
            ours.close()
        if isinstance(answer, Failure):
            raise StorageError(answer.code, answer.message, answer.hint)
        return answer


def _child(
    answers: Connection,
    parent: int,
    what: str,
    paths: tuple[LakePlace | Path, Path],
    registry: Registry,
    arguments: tuple[Any, ...],
    max_inflated_bytes: int,
) -> None:
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from missioncontrol.lake.snapshot import LakeReader
    from missioncontrol.telemetry.preview import preview, survey

    work: _Work = preview if what == "preview" else survey
    limits = {"today": datetime.now(UTC).date(), "max_inflated_bytes": max_inflated_bytes}
    answer: Any
    try:
        answer = work(LakeReader(*paths).snapshot("pings"), registry, *arguments, **limits)
    except MissionControlError as error:
        answer = Failure(error.code, error.message, error.hint)
    except MemoryError:
        answer = Failure(
            "preview_memory", "The preview took more memory than it may.", "Nothing was changed."
        )
    answers.send(answer)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        threading.Event().wait(1)
    os._exit(1)
