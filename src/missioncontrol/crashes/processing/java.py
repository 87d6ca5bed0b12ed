"""Rules on crashes of Java and Kotlin. The message of an exception may hold anything: the public form has none."""

from __future__ import annotations

import re
from typing import Any

from missioncontrol.crashes.processing.model import Crash
from missioncontrol.crashes.processing.reading import integer_at, objects_at, text_at

_HEAD = re.compile(r"(?:Exception in thread \S+ )?((?:[\w$]+\.)+[\w$]+)(?::|$)")
_FRAME = re.compile(r"at [\w.$<>/@-]+\([^()]*\)$")
_CAUSE = re.compile(r"Caused by: ((?:[\w$]+\.)+[\w$]+)(?::|$)")
_MORE = re.compile(r"\.\.\. [0-9]+ more$")
_LINES_LIMIT = 2000


def publish_java_stack_trace(crash: Crash) -> None:
    """`java_stack_trace`: classes and frames of `java_stack_trace_raw`."""
    raw = crash.text("java_stack_trace_raw")
    if not raw:
        return
    public = without_messages(raw)
    if public:
        crash.document["java_stack_trace"] = public
    else:
        crash.note("JavaStackTrace: no stack trace")


def without_messages(trace: str) -> str:
    """A stack trace without the messages of its exceptions; empty when it is none.

    >>> without_messages("a.B: secret\\n  at a.C.d(C.kt:1)")
    'a.B\\n\\tat a.C.d(C.kt:1)'
    """
    lines = [line.strip() for line in trace.splitlines()[:_LINES_LIMIT]]
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        return ""
    kept = [head[1]]
    for line in lines[1:]:
        cause = _CAUSE.match(line)
        if cause:
            kept.append(f"Caused by: {cause[1]}")
        elif _FRAME.match(line) or _MORE.match(line):
            kept.append(f"\t{line}")
    return "\n".join(kept)


def publish_java_exception(crash: Crash) -> None:
    """`java_exception`: classes and frames of `java_exception_raw`."""
    raw = crash.document.get("java_exception_raw")
    if raw is None:
        return
    values = objects_at(raw, "exception", "values")
    if not values:
        crash.note("JavaException: no exception in it")
        return
    crash.document["java_exception"] = {"exception": {"values": [_value(value) for value in values]}}


def _value(value: dict[str, Any]) -> dict[str, Any]:
    stack = value.get("stacktrace")
    frames = [_frame(frame) for frame in objects_at(stack, "frames")]
    named = {key: text_at(stack, key) or text_at(value, key) for key in ("type", "module")}
    return {"stacktrace": {**{k: v for k, v in named.items() if v}, "frames": frames}}


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: text_at(frame, key) for key in ("module", "function", "filename")}
    found["lineno"] = integer_at(frame, "lineno")
    found["in_app"] = frame.get("in_app") if isinstance(frame.get("in_app"), bool) else None
    return {key: value for key, value in found.items() if value not in ("", None)}
