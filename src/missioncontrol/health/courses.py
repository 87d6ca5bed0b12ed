"""Courses for those who may not compute them: each in a process of its own, with a time limit, few at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from missioncontrol.config import Query
from missioncontrol.errors import BadRequest, MissionControlError, NotFound, StorageError, TooSlow
from missioncontrol.health.model import Course, Subject
from missioncontrol.health.worker import Answer, Failure, Question
from missioncontrol.state.releases import Release

_AT_ONCE = 1
_WAIT_S = 10.0


class Courses:
    """Asks worker processes. Thread-safe; blocks."""

    def __init__(
        self,
        lake: Path,
        cache: Path,
        registry: Sequence[Path],
        settings: Query,
        releases: Callable[[str, str], Sequence[Release]],
    ) -> None:
        self._lake, self._cache, self._registry = lake, cache, list(registry)
        self._settings, self._releases = settings, releases
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def course(self, subject: Subject, until: datetime) -> Course:
        """The looks of a subject up to `until`, from all rows that the lake has now.

        Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`), `TooSlow` (`busy`, `course_timeout`) and
        `StorageError`.
        """
        question = Question(
            self._lake,
            self._cache,
            self._registry,
            self._settings,
            list(self._releases(subject.application, subject.channel)),
            subject,
            until,
            self._settings.timeout_s,
        )
        if not self._turns.acquire(timeout=_WAIT_S):
            raise TooSlow("busy", "Another course is being computed.", "Try again in a few seconds.")
        try:
            answer = _ask(question)
        finally:
            self._turns.release()
        if answer.course is None:
            raise _raised(answer.failure)
        return answer.course


def _ask(question: Question) -> Answer:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "missioncontrol.health.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        cwd="/",
    )
    assert process.stdin and process.stdout
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        process.kill()

    timer = threading.Timer(question.timeout_s, kill)
    timer.daemon = True
    timer.start()
    try:
        process.stdin.write(msgspec.json.encode(question, enc_hook=str) + b"\n")
        process.stdin.flush()  # stays open: its end tells the worker that this process has ended
        said = process.stdout.read()
        code = process.wait()
    except BrokenPipeError:
        said, code = b"", process.wait()
    finally:
        process.kill()
        process.wait()
        timer.cancel()
        process.stdout.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
    if killed.is_set() or code == -24:  # SIGXCPU: its time of a processor was used up
        raise TooSlow(
            "course_timeout",
            f"The course took longer than {question.timeout_s:g} s and was stopped.",
            "See `query.timeout_s`.",
        )
    try:
        return msgspec.json.decode(said, type=Answer)
    except msgspec.DecodeError:
        raise StorageError(
            "course_failed", f"The process that computes the course ended with {code}.", "Try again."
        ) from None


def _environment() -> dict[str, str]:
    """What the worker needs and nothing else: the server's environment may hold secrets."""
    path = os.pathsep.join(p for p in sys.path if p)
    return {
        "PYTHONPATH": path,
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _raised(failure: Failure | None) -> MissionControlError:
    if failure is None:
        return StorageError("course_failed", "There is no course.", "Try again.")
    kinds: dict[int, type[MissionControlError]] = {400: BadRequest, 404: NotFound, 503: TooSlow}
    return kinds.get(failure.status, StorageError)(failure.code, failure.message, failure.hint)
