"""The process that computes one course and ends: `python -m missioncontrol.health.worker`.

A course needs the statistics' libraries and a channel's sums in memory, which the server that is asked for one shall
never have: a question comes in on stdin, the answer goes out on stdout. Ends when the process that started it ends.
"""

from __future__ import annotations

import os
import resource
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from missioncontrol.config import LakePlace, Query
from missioncontrol.errors import MissionControlError
from missioncontrol.health.model import Course, Subject
from missioncontrol.processes import end_with_stdin
from missioncontrol.state.releases import Release


class Question(msgspec.Struct, frozen=True):
    """Which course, from which lake; `timeout_s` seconds of a processor are enough for it."""

    lake: LakePlace
    cache: Path
    registry: list[Path]
    settings: Query
    releases: list[Release]
    subject: Subject
    until: datetime
    timeout_s: float


class Failure(msgspec.Struct, frozen=True):
    """Why there is no course, as it is told to the user."""

    status: int
    code: str
    message: str
    hint: str


class Answer(msgspec.Struct, frozen=True):
    """A course, or why there is none."""

    course: Course | None = None
    failure: Failure | None = None


def main() -> None:
    """Read a question from stdin, write the answer to stdout."""
    question = msgspec.json.decode(sys.stdin.buffer.readline(), type=Question, dec_hook=read_path)
    end_with_stdin()
    os.nice(5)
    seconds = int(question.timeout_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    try:
        answer = Answer(_course(question))
    except MissionControlError as error:
        answer = Answer(failure=Failure(error.status, error.code, error.message, error.hint))
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    sys.stdout.buffer.flush()
    os._exit(0)


def read_path(kind: type, value: object) -> object:
    """How paths are written."""
    return Path(str(value)) if kind is Path else value


def _course(question: Question) -> Course:
    from missioncontrol.health.asking import courses
    from missioncontrol.lake.snapshot import LakeReader
    from missioncontrol.query.engine import Engine
    from missioncontrol.registry.watch import RegistryWatcher

    reader = LakeReader(question.lake, question.cache)
    engine = Engine(reader, RegistryWatcher(question.registry), question.settings)
    asked = question.subject
    (found,) = courses(
        engine,
        question.releases,
        asked.application,
        asked.channel,
        asked.version,
        asked.measure,
        question.until,
        asked.signature,
    )
    return found


if __name__ == "__main__":
    main()
