"""Courses for those who may not compute them: each in a process of its own, with a time limit, one at a time.

What was computed is kept as long as it would come out the same: until rows of its time or the channel's releases
change. Equal questions that come together are answered once, and only a few may wait: each holds a thread of a server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from missioncontrol.config import LakePlace, Query
from missioncontrol.errors import BadRequest, MissionControlError, NotFound, StorageError, TooSlow
from missioncontrol.health.model import Course, Subject
from missioncontrol.health.published import moment_of, tick_of
from missioncontrol.health.worker import Answer, Failure, Question
from missioncontrol.lake.changes import changed_from
from missioncontrol.lake.place import place_of
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.s3 import own_variables
from missioncontrol.state.releases import Release

_AT_ONCE = 1
_MOST_ASKERS = 8
"""Threads of the server that courses may hold; it has forty."""
_WAIT_S = 10.0
_RETRY_AFTER_S = 5
_MOST_KEPT = 16
_KEPT_S = 600.0
"""What is declared of measures may change too."""
_TABLES = {"error_aggregates": "window_start", "usage_by_activity": "arrival"}
"""What courses are computed from, with the column of arrival."""


class _Key(NamedTuple):
    """A question. releases: revision of what is known of the channel's."""

    subject: Subject
    until: datetime
    releases: int


@dataclass
class _Kept:
    """A course, of which versions of the tables, and when it was computed by the monotonic clock."""

    course: Course
    versions: dict[str, int]
    made_at: float


class Courses:
    """Asks worker processes. Thread-safe; blocks."""

    def __init__(
        self,
        lake: LakePlace | Path,
        cache: Path,
        registry: Sequence[Path],
        settings: Query,
        releases: Callable[[str, str], Sequence[Release]],
        reader: LakeReader,
    ) -> None:
        self._lake, self._cache, self._registry = place_of(lake), cache, list(registry)
        self._settings, self._releases, self._reader = settings, releases, reader
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._kept: dict[_Key, _Kept] = {}
        self._asked: dict[_Key, Future[Course]] = {}
        self._askers = 0

    def course(self, subject: Subject, until: datetime) -> Course:
        """The looks of a subject up to `until`, from all rows that the lake has now.

        Raises `NotFound` (`no_release`), `BadRequest` (`not_judged`), `TooSlow` (`busy`, `course_timeout`) and
        `StorageError`.
        """
        releases = list(self._releases(subject.application, subject.channel))
        # Within a window nothing new is known.
        key = _Key(subject, moment_of(tick_of(until)), hash(tuple(releases)))
        # A signature's verdict rests on crash reports too, which come all the time.
        kept = None if subject.signature else self._kept.get(key)
        if kept is not None and self._holds(key, kept):
            return kept.course
        with self._lock:
            if self._askers >= _MOST_ASKERS:
                raise _busy()
            self._askers += 1
            asked = self._asked.get(key)
            first = asked is None
            asked = self._asked.setdefault(key, Future())
        try:
            if first:
                self._answer(key, releases, asked)
            return asked.result()
        finally:
            with self._lock:
                self._askers -= 1

    def _answer(self, key: _Key, releases: list[Release], asked: Future[Course]) -> None:
        """Compute a course for all who asked for it."""
        try:
            course = self._computed(key, releases)
        except BaseException as error:
            asked.set_exception(error)
        else:
            asked.set_result(course)
        finally:
            with self._lock:
                del self._asked[key]

    def _computed(self, key: _Key, releases: list[Release]) -> Course:
        question = Question(
            self._lake,
            self._cache,
            self._registry,
            self._settings,
            releases,
            key.subject,
            key.until,
            self._settings.timeout_s,
        )
        if not self._turns.acquire(timeout=_WAIT_S):
            raise _busy()
        try:
            versions = self._versions()  # those of before: rows that come meanwhile are looked at again
            answer = _ask(question)
        finally:
            self._turns.release()
        if answer.course is None:
            raise _raised(answer.failure)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = _Kept(answer.course, versions, time.monotonic())
            while len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return answer.course

    def _holds(self, key: _Key, kept: _Kept) -> bool:
        """Whether a course would come out the same now: no rows of its time came since."""
        if time.monotonic() - kept.made_at > _KEPT_S:
            return False
        versions = self._versions()
        for name, column in _TABLES.items():
            snapshot = self._reader.snapshot(name)
            if snapshot is None or versions[name] == kept.versions[name]:
                continue
            changed = changed_from(self._lake, snapshot, kept.versions[name], column=column)
            if changed is not None and changed < key.until:
                return False
        kept.versions = versions
        return True

    def _versions(self) -> dict[str, int]:
        found = {name: self._reader.snapshot(name) for name in _TABLES}
        return {name: -1 if snapshot is None else snapshot.version for name, snapshot in found.items()}


def _busy() -> TooSlow:
    return TooSlow("busy", "Other courses are being computed.", "Try again in a few seconds.", _RETRY_AFTER_S)


def _ask(question: Question) -> Answer:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "missioncontrol.health.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment() | (own_variables() if question.lake.url else {}),
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
