"""Stack traces of Java and Kotlin for the general profile.

siggen names such a crash by exception and top frame. Here frames that say nothing are skipped by the lists first, as
in native stacks, and line numbers of Kotlin and numbers of compiler-made lambdas are left out. Messages stay where
the trace has them; the trace of a processed crash has none.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from missioncontrol.crashes.signature.model import MAXIMUM_FRAMES

_LINE = re.compile(r"\(([^():]*)(?::\d+)?\)$")
_LAMBDA = re.compile(
    r"(\$\$ExternalSyntheticLambda|\$\$Lambda\$|\$lambda[$-]|lambda\$\w*\$|\$sam\$)\d+(/0x[0-9a-f]+)?"
)
_ADDRESS = re.compile(r"@[0-9a-f]{4,16}\b")
CAUSED_BY = "Caused by: "


class Section(msgspec.Struct, frozen=True):
    """An exception with its frames; the exceptions that caused it are sections of their own."""

    head: str
    """Class, and message if there was one."""
    frames: tuple[str, ...]


def parse_trace(text: str) -> list[Section]:
    """The sections of a stack trace, the outermost exception first; empty when it is none."""
    sections: list[tuple[str, list[str]]] = []
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("at ") and sections:
            if len(sections[-1][1]) < MAXIMUM_FRAMES:
                sections[-1][1].append(normalise_frame(line[3:]))
        elif line.startswith(CAUSED_BY) and sections:
            sections.append((line[len(CAUSED_BY) :], []))
        elif line and not sections:
            sections.append((line, []))
    return [Section(_ADDRESS.sub("@<addr>", head), tuple(frames)) for head, frames in sections]


def parse_exception(value: dict[str, Any]) -> list[Section]:
    """The sections of an exception in Sentry's shape, as `crash_data` leaves it."""
    stack = value["exception"]["values"][0]["stacktrace"]
    if not stack:
        return []
    head = ".".join(part for part in (stack["module"], stack["type"]) if part)
    return [Section(head, tuple(normalise_frame(_frame_text(frame)) for frame in stack["frames"]))]


def normalise_frame(text: str) -> str:
    """A frame without what changes from build to build.

    >>> normalise_frame("org.otter.Den.sleep$lambda$3(Den.kt:45)")
    'org.otter.Den.sleep$lambda$(Den.kt)'
    """
    text = _LAMBDA.sub(r"\1", text.strip())
    return _LINE.sub(lambda match: f"({match[1]})" if match[1] else "", text)


def _frame_text(frame: dict[str, str]) -> str:
    name = ".".join(part for part in (frame["module"], frame["function"]) if part) or "unknown"
    return f"{name}({frame['filename']})" if frame["filename"] else name
