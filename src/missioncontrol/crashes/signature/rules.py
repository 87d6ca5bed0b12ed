"""Rules around siggen's own: each has siggen's two methods, `predicate` and `action`.

`StackSignature` takes the place of siggen's first rule, which always reads the included lists, takes a missing
crashing thread for thread 0 and fails as a whole at one malformed frame.
"""

from __future__ import annotations

import re
from typing import Any

from siggen.rules import OOMSignature

from missioncontrol.crashes.signature.crash_data import CrashData
from missioncontrol.crashes.signature.java import parse_exception, parse_trace
from missioncontrol.crashes.signature.walk import Walker

FAILED = "EMPTY: crash failed to process"
NO_THREAD = "EMPTY: no crashing thread identified"
NO_JAVA = "EMPTY: Java stack trace not in expected format"


class StackSignature:
    """The signature of the stack: of Java's, else of the crashing thread's."""

    def __init__(self, walker: Walker) -> None:
        self._walker = walker

    def predicate(self, data: CrashData, result: Any) -> bool:
        """Always: this is the first rule."""
        return True

    def action(self, data: CrashData, result: Any) -> bool:
        """Set signature, proto_signature and normalized_frames."""
        if data.get("java_stack_trace"):
            return self._java(result, data["java_stack_trace"], data.get("java_exception"))
        if data.get("java_exception"):
            return self._java(result, None, data["java_exception"])
        return self._native(data, result)

    def _java(self, result: Any, trace: Any, exception: Any) -> bool:
        sections = []
        if self._walker.general:
            sections = parse_trace(trace) if isinstance(trace, str) else []
            sections = sections or (parse_exception(exception) if exception else [])
        if sections:
            signature, notes, frames = self._walker.name_java(sections)
            self._keep(result, frames)
        elif trace is not None:
            signature, notes, _ = self._walker.java_tool.generate(trace)
        else:
            signature, notes, _ = self._walker.java_exception_tool.generate(exception)
        for note in notes:
            result.info("JavaSignature", note)
        result.set_signature("StackSignature", signature or NO_JAVA)
        return True

    def _native(self, data: CrashData, result: Any) -> bool:
        thread, threads = data["crashing_thread"], data["threads"]
        if thread is None:
            result.info("StackSignature", "no crashing thread identified")
            result.set_signature("StackSignature", NO_THREAD)
            return True
        stack = threads[thread] if thread < len(threads) else {}
        frames = self._walker.normalise(stack.get("frames") or [], data["os"] == "Windows NT")
        signature, notes = self._walker.name_native(frames, thread)
        self._keep(result, frames)
        for note in notes:
            result.info("StackSignature", note)
        result.set_signature("StackSignature", signature)
        return True

    @staticmethod
    def _keep(result: Any, frames: list[str]) -> None:
        if frames:
            result.extra["proto_signature"] = " | ".join(frames)
            result.extra["normalized_frames"] = frames


class WatchDog:
    """A hang in shutdown: the watchdog's own thread crashed, thread 0 is the one that hung."""

    def __init__(self, stack: StackSignature) -> None:
        self._stack = stack

    def predicate(self, data: CrashData, result: Any) -> bool:
        """Whether the watchdog's function is in the signature."""
        return "RunWatchdog" in result.signature

    def action(self, data: CrashData, result: Any) -> bool:
        """Name thread 0 instead."""
        self._stack.action({**data, "crashing_thread": 0}, result)
        result.set_signature("WatchDog", f"shutdownhang | {result.signature}")
        return True


class PrintableOnly:
    """White space becomes spaces and all that is no printable ASCII goes; a signature never becomes empty by it."""

    _space = re.compile(r"\s+")
    _other = re.compile(r"[^ -~]+")

    def predicate(self, data: CrashData, result: Any) -> bool:
        """Whether the signature needs it."""
        return not result.signature or bool(self._other.search(result.signature))

    def action(self, data: CrashData, result: Any) -> bool:
        """Replace the signature."""
        text = self._other.sub("", self._space.sub(" ", result.signature)).strip(" |")
        result.set_signature("PrintableOnly", text or "EMPTY: no printable characters")
        return True


def general_oom() -> Any:
    """siggen's rule for out of memory, which also knows the marks of C++, Chromium, Node.js and Java."""
    rule = OOMSignature()
    rule.signature_fragments = (
        *OOMSignature.signature_fragments,
        "alloc::handle_alloc_error",
        "rust_oom",
        "std::bad_alloc",
        "OnNoMemoryInternal",
        "TerminateBecauseOutOfMemory",
        "FatalProcessOutOfMemory",
        "OOMErrorHandler",
        "java.lang.OutOfMemoryError",
    )
    rule.oom_reason = [*OOMSignature.oom_reason, "OUT_OF_MEMORY"]
    return rule
