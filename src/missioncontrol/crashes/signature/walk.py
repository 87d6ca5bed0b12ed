"""From frames to a name: siggen's tools, set to the lists of a profile.

`trace_native` and `trace_java` say what became of each frame; for native stacks they follow siggen's walk step by
step, which a test holds them to.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import Any

from siggen.rules import CSignatureTool, JavaExceptionSignatureTool, JavaSignatureTool

from missioncontrol.crashes.signature.crash_data import restore_operators
from missioncontrol.crashes.signature.java import Section
from missioncontrol.crashes.signature.lists import ListLine, Lists, SignatureList
from missioncontrol.crashes.signature.model import MAXIMUM_FRAMES, Decision, FrameStep

NO_FRAMES = "EMPTY: no frame data available"
_NO_MESSAGE = "stack trace line 1 is not in the expected format"


class Walker:
    """The tools of one profile. Holds no state of a crash."""

    def __init__(self, lists: Lists, *, general: bool) -> None:
        self.lists = lists
        self.general = general
        self.java_tool = JavaSignatureTool()
        self.java_exception_tool = JavaExceptionSignatureTool()
        self._tool = copy.copy(_included_tool())
        self._tool.irrelevant_signature_re = lists.irrelevant.pattern
        self._tool.prefix_signature_re = lists.prefix.pattern
        self._tool.signatures_with_line_numbers_re = lists.line_numbers.pattern
        self._tool.signature_sentinels = lists.sentinels.names

    def normalise(self, frames: Sequence[dict[str, Any]], windows: bool) -> list[str]:
        """Names of the top frames, inlined ones included."""
        names: list[str] = []
        for frame in frames:
            names.extend(self._names(frame, windows))
            if len(names) >= MAXIMUM_FRAMES:
                break
        return names[:MAXIMUM_FRAMES]

    def name_native(self, frames: list[str], thread: int) -> tuple[str, list[str]]:
        """Signature of a stack, and notes. In the general profile a repeated frame counts once."""
        signature, notes, _ = self._tool.generate(self._distinct(frames), thread)
        # siggen falls back to the top frame even where that one has no name at all.
        return signature or next((name for name in frames if name), NO_FRAMES), notes

    def name_java(self, sections: Sequence[Section]) -> tuple[str, list[str], list[str]]:
        """Signature by the first frame that says something; notes; all frames."""
        section, index = self._java_frame(sections)
        frame = f"\nat {section.frames[index]}" if section.frames else ""
        signature, notes, _ = self.java_tool.generate(section.head + frame)
        # A processed crash has no messages, so that they miss is nothing to tell.
        notes = [note for note in notes if _NO_MESSAGE not in note]
        return signature, notes, [f for s in sections for f in s.frames][:MAXIMUM_FRAMES]

    def trace_native(self, frames: Sequence[str]) -> list[FrameStep]:
        """What became of each frame of a stack."""
        start = self._sentinel(frames)
        steps: list[FrameStep] = []
        added: list[str] = []
        stopped = False
        for position, name in enumerate(frames):
            if position < start:
                sentinel = self.lists.sentinels.find(frames[start])
                steps.append(_made(position, name, "above the sentinel", self.lists.sentinels, sentinel))
            elif stopped:
                steps.append(FrameStep(position, name, "not reached"))
            else:
                step = self._step(position, name, frames, added, position == start)
                stopped = step.decision == "added, stopped"
                if step.decision.startswith("added"):
                    added.append(name)
                steps.append(step)
        return self._fallback(steps, start) if not added else steps

    def trace_java(self, sections: Sequence[Section]) -> list[FrameStep]:
        """What became of each frame of a Java trace."""
        chosen, index = self._java_frame(sections)
        steps: list[FrameStep] = []
        decision: Decision = "skipped"
        for section in sections:
            for number, name in enumerate(section.frames):
                here = section is chosen and number == index
                decision = "added, stopped" if here else decision
                line = self.lists.irrelevant.find(name) if decision == "skipped" else None
                steps.append(_made(len(steps), name, decision, self.lists.irrelevant, line))
                decision = "not reached" if here else decision
        return steps

    def _names(self, frame: dict[str, Any], windows: bool) -> list[str]:
        try:
            names = self._tool.create_frame_list({"frames": [frame]}, windows)
        except Exception:
            # siggen cannot name it (a function called `const`, say): what was written is better than nothing.
            names = [frame.get("function") or frame.get("module") or ""]
        return [restore_operators(name) for name in names]

    def _distinct(self, frames: Sequence[str]) -> list[str]:
        return [name for name, _ in groupby(frames)] if self.general else list(frames)

    def _sentinel(self, frames: Sequence[str]) -> int:
        found = [frames.index(name) for name in self.lists.sentinels.names if name in frames]
        return min(found, default=0)

    def _step(
        self, position: int, name: str, frames: Sequence[str], added: Sequence[str], first: bool
    ) -> FrameStep:
        if not name:
            return FrameStep(position, name, "skipped")
        if self.general and not first and position and frames[position - 1] == name:
            return FrameStep(position, name, "repeated")
        line = self.lists.irrelevant.find(name)
        if line:
            return _made(position, name, "skipped", self.lists.irrelevant, line)
        if added and added[-1] == name and _merges(name):
            return FrameStep(position, name, "repeated")
        line = self.lists.prefix.find(name)
        if line:
            return _made(position, name, "added, went on", self.lists.prefix, line)
        sentinel = self.lists.sentinels.find(name) if first else None
        return _made(position, name, "added, stopped", self.lists.sentinels, sentinel)

    def _fallback(self, steps: list[FrameStep], start: int) -> list[FrameStep]:
        """Nothing was added: siggen names the crash by the first frame, irrelevant or not."""
        for index, step in enumerate(steps[start:], start):
            if step.name:
                steps[index] = FrameStep(
                    step.position, step.name, "added, stopped", step.list, step.where, step.pattern
                )
                break
        return steps

    def _java_frame(self, sections: Sequence[Section]) -> tuple[Section, int]:
        for section in sections:
            for index, name in enumerate(section.frames):
                if not self.lists.irrelevant.pattern.match(name):
                    return section, index
        return sections[0], 0


def _merges(name: str) -> bool:
    """Whether siggen takes such a frame once where it comes several times in a row."""
    if name.startswith("(unloaded"):
        return False
    library = name.lower().endswith((".dll", ".so"))
    return library or name in ("XUL", "<name omitted>") or name.startswith("<unknown in")


def _made(
    position: int, name: str, decision: Decision, source: SignatureList, line: ListLine | None
) -> FrameStep:
    if line is None:
        return FrameStep(position, name, decision)
    return FrameStep(position, name, decision, source.kind, line.where, line.text)


@cache
def _included_tool() -> Any:
    """siggen's tool with its own lists; reading them takes tens of milliseconds, once a process."""
    return CSignatureTool()
