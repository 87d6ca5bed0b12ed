"""One profile at work: its walker and its rules in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from siggen.generator import Result
from siggen.rules import (
    AbortSignature,
    BadHardware,
    HungProcess,
    OOMSignature,
    SigFixWhitespace,
    SignatureIPCChannelError,
    SignatureIPCMessageName,
    SignatureShutdownTimeout,
    SigTruncate,
    StackOverflowSignature,
    StackwalkerErrorSignatureRule,
)

from missioncontrol.crashes.signature.crash_data import CrashData, clean, from_document
from missioncontrol.crashes.signature.java import parse_exception, parse_trace
from missioncontrol.crashes.signature.lists import FIREFOX, Lists
from missioncontrol.crashes.signature.model import Explanation, FrameStep, RuleStep, Signature
from missioncontrol.crashes.signature.rules import PrintableOnly, StackSignature, WatchDog, general_oom
from missioncontrol.crashes.signature.walk import Walker

logger = structlog.get_logger()
_NOTE_LIMIT = 1000


class Engine:
    """Signatures by one profile and one set of lists. Pure and thread-safe."""

    def __init__(self, profile: str, lists: Lists) -> None:
        self.profile = profile
        self.general = profile != FIREFOX
        self.walker = Walker(lists, general=self.general)
        self._rules = _rules(self.walker)

    def generate(self, document: Mapping[str, Any]) -> Signature:
        """The signature of a processed crash."""
        return self.name(from_document(document, general=self.general))

    def from_job(self, job: Mapping[str, Any]) -> Signature:
        """The signature of crash data in siggen's shape; as for siggen, thread 0 crashed where none is named."""
        data = clean(job, general=self.general)
        return self.name({**data, "crashing_thread": data["crashing_thread"] or 0})

    def explain(self, document: Mapping[str, Any]) -> Explanation:
        """The signature of a processed crash and how it came about."""
        data = from_document(document, general=self.general)
        result, changes = self._run(data)
        watched = any(change.rule == "WatchDog" for change in changes)
        frames = self._trace({**data, "crashing_thread": 0} if watched else data)
        return Explanation(_signature(result), tuple(frames), tuple(changes))

    def name(self, data: CrashData) -> Signature:
        """The signature of crash data that is clean."""
        return _signature(self._run(data)[0])

    def _run(self, data: CrashData) -> tuple[Result, list[RuleStep]]:
        result, changes = Result(), []
        for rule in self._rules:
            name, before = type(rule).__name__, result.signature
            try:
                if rule.predicate(data, result):
                    rule.action(data, result)
            except Exception as error:
                # By class only: the message may hold what is protected, and notes are public.
                logger.warning("signature_rule_failed", rule=name, error=type(error).__name__)
                result.info(name, f"failed: {type(error).__name__}")
            if result.signature != before:
                changes.append(RuleStep(name, before, result.signature))
        return result, changes

    def _trace(self, data: CrashData) -> list[FrameStep]:
        trace, exception = data["java_stack_trace"], data["java_exception"]
        if trace or exception:
            sections = parse_trace(trace) if isinstance(trace, str) else []
            sections = sections or (parse_exception(exception) if exception else [])
            return self.walker.trace_java(sections) if self.general and sections else []
        thread, threads = data["crashing_thread"], data["threads"]
        stack = threads[thread] if thread is not None and thread < len(threads) else {}
        return self.walker.trace_native(
            self.walker.normalise(stack.get("frames") or [], data["os"] == "Windows NT")
        )


def _rules(walker: Walker) -> list[Any]:
    stack = StackSignature(walker)
    mozilla = not walker.general
    rules: list[Any] = [stack, StackwalkerErrorSignatureRule(), BadHardware()]
    rules += [OOMSignature() if mozilla else general_oom(), AbortSignature()]
    if mozilla:
        rules += [
            SignatureShutdownTimeout(),
            WatchDog(stack),
            SignatureIPCChannelError(),
            SignatureIPCMessageName(),
        ]
    rules += [StackOverflowSignature(), HungProcess(), PrintableOnly(), SigFixWhitespace(), SigTruncate()]
    return rules


def _signature(result: Result) -> Signature:
    return Signature(
        signature=result.signature or "EMPTY: no printable characters",
        proto_signature=result.extra.get("proto_signature", ""),
        notes=tuple(str(note)[:_NOTE_LIMIT] for note in result.notes),
        normalized_frames=tuple(result.extra.get("normalized_frames", ())),
    )
