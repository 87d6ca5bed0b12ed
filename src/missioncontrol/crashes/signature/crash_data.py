"""From a processed crash, or from a job in siggen's own shape, to data on which siggen cannot fail.

Whatever was sent, the result has only the keys that the rules read, each of the type that they expect, and of the
stacks only the top frames of the threads that can matter. Nothing that was given is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from missioncontrol.crashes.signature.model import MAXIMUM_FRAMES

CrashData = dict[str, Any]

_TEXTS = (
    "reason",
    "os",
    "js_large_allocation_failure",
    "abort_message",
    "mdsw_status_string",
    "ipc_channel_error",
    "ipc_message_name",
    "hang",
)
_NAME_LIMIT = 4096
"""Characters of a function's name: collapsing its types takes time that grows with the square of the length."""
_TEXT_LIMIT = 10_000
_TRACE_LIMIT = 100_000
_OPERATORS = ("<=>", "<<=", ">>=", "<<", ">>", "<=", ">=", "->*", "->", "<", ">")
_OPERATOR = re.compile(r"operator\s*(" + "|".join(map(re.escape, _OPERATORS)) + r")\s*(?=[(<\[]|$)")
_STAND_INS = {text: chr(0xE000 + index) for index, text in enumerate(_OPERATORS)}
_RESTORE = {ord(stand_in): f"operator{text}" for text, stand_in in _STAND_INS.items()}
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")


def from_document(document: Mapping[str, Any], *, general: bool) -> CrashData:
    """Crash data of a processed crash. `general` also mends what siggen does not know of Rust."""
    dump = document.get("json_dump")
    dump = dump if isinstance(dump, dict) else {}
    info, system = _object(dump.get("crash_info")), _object(dump.get("system_info"))
    source: CrashData = {
        **{key: document.get(key) for key in (*_TEXTS, "async_shutdown_timeout")},
        "crashing_thread": _crashing_thread(document, dump, info),
        "reason": info.get("type"),
        "os": system.get("os"),
        "threads": dump.get("threads"),
        "oom_allocation_size": document.get("oom_allocation_size"),
        "additional_minidumps": document.get("additional_minidumps"),
        "java_stack_trace": document.get("java_stack_trace") or bool(document.get("java_stack_trace_raw")),
        "java_exception": document.get("java_exception"),
    }
    if source["mdsw_status_string"] == "OK":
        source["mdsw_status_string"] = None
    return clean(source, general=general)


def clean(source: Mapping[str, Any], *, general: bool) -> CrashData:
    """Crash data in siggen's shape, from a mapping that claims to be."""
    data: CrashData = {key: _text(source.get(key)) for key in _TEXTS}
    data["oom_allocation_size"] = _integer(source.get("oom_allocation_size"))
    data["async_shutdown_timeout"] = _shutdown_timeout(source.get("async_shutdown_timeout"))
    data["additional_minidumps"] = _names(source.get("additional_minidumps"))
    trace = source.get("java_stack_trace")
    data["java_stack_trace"] = trace[:_TRACE_LIMIT] if isinstance(trace, str) else trace
    data["java_exception"] = _java_exception(source.get("java_exception"))
    threads = source.get("threads")
    threads = threads if isinstance(threads, list) else []
    thread = _integer(source.get("crashing_thread"))
    if thread is None and threads:
        thread = 0
    data["crashing_thread"] = thread
    wanted = {0, thread}
    data["threads"] = [
        _thread(item, general=general) if index in wanted else {} for index, item in enumerate(threads)
    ]
    return data


def restore_operators(name: str) -> str:
    """A normalised name with the operators that stood aside while types were collapsed."""
    return name.translate(_RESTORE)


def _crashing_thread(
    document: Mapping[str, Any], dump: Mapping[str, Any], info: Mapping[str, Any]
) -> int | None:
    """The thread by the dump itself: in a hang of the shutdown, the document names the hung one instead."""
    claims = (
        info.get("crashing_thread"),
        _object(dump.get("crashing_thread")).get("threads_index"),
        document.get("crashing_thread"),
    )
    return next((thread for claim in claims if (thread := _integer(claim)) is not None), None)


def _thread(thread: Any, *, general: bool) -> CrashData:
    thread = _object(thread)
    frames = thread.get("frames")
    frames = frames[:MAXIMUM_FRAMES] if isinstance(frames, list) else []
    return {
        "frames": [_frame(_object(frame), general=general) for frame in frames],
        "last_error_value": _text(thread.get("last_error_value")) or "",
    }


def _frame(frame: Mapping[str, Any], *, general: bool) -> CrashData:
    inlines = frame.get("inlines")
    unloaded = frame.get("unloaded_modules")
    first = _object(unloaded[0]) if isinstance(unloaded, list) and unloaded else {}
    name = _text(first.get("module"))
    return {
        **_code(frame, general=general),
        "module": _text(frame.get("module")),
        "module_offset": _text(frame.get("module_offset")),
        "offset": _text(frame.get("offset")),
        "inlines": [
            _code(_object(inline), general=general)
            for inline in (inlines[:MAXIMUM_FRAMES] if isinstance(inlines, list) else [])
        ],
        "unloaded_modules": [{"module": name}] if name else [],
    }


def _code(frame: Mapping[str, Any], *, general: bool) -> CrashData:
    function, file = _text(frame.get("function")), _text(frame.get("file"))
    line = _integer(frame.get("line"))
    if function:
        function = function[:_NAME_LIMIT].strip()
        if "operator" in function:
            function = _OPERATOR.sub(lambda m: _STAND_INS[m[1]], function)
        if general:
            function = _RUST_HASH.sub("", function)
    if file:
        file = file[-_NAME_LIMIT:]
        if general and file.endswith(".rs") and ":" not in file and not file.startswith("/"):
            # siggen takes a relative path for no path at all, and then a Rust function for one of C++.
            file = f"/{file}"
    return {"function": function, "file": file, "line": line}


def _java_exception(value: Any) -> CrashData | None:
    """The exception with class and module where siggen looks for them: at the stack trace, not above it."""
    if not value:
        return None
    values = _object(_object(value).get("exception")).get("values")
    first = _object(values[0]) if isinstance(values, list) and values else {}
    stack = _object(first.get("stacktrace"))
    frames = stack.get("frames")
    kept: CrashData = {
        key: _text(stack.get(key)) or _text(first.get(key)) or "" for key in ("type", "module")
    }
    kept["type"] = kept["type"] or "Unknown"
    kept["frames"] = [
        {key: _text(_object(frame).get(key)) or "" for key in ("module", "function", "filename")}
        for frame in (frames[:MAXIMUM_FRAMES] if isinstance(frames, list) else [])
    ]
    usable = bool(stack or first.get("type"))
    return {"exception": {"values": [{"stacktrace": kept if usable else None}]}}


def _shutdown_timeout(value: Any) -> str | None:
    """The JSON text with what siggen's rule would stumble over made plain; what is no object makes it say UNKNOWN."""
    if not isinstance(value, str) or not value:
        return None
    try:
        content = json.loads(value[:_TRACE_LIMIT])
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return "no object"
    conditions = content.get("conditions")
    kept = conditions if isinstance(conditions, list) else []
    return json.dumps({"phase": content.get("phase"), "conditions": kept})


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value[:_TEXT_LIMIT]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)[:64] if not isinstance(value, int) or abs(value) < 2**63 else None
    return None


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,19}\s*", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 2**63 else None


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [name.strip() for name in value[:_TRACE_LIMIT].split(",")]
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | dict) else []
