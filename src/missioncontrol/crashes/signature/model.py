"""What signature generation gives: the signature, and the steps that led to it."""

from __future__ import annotations

from typing import Literal

import msgspec

MAXIMUM_FRAMES = 40
"""Frames of a stack that are looked at; inlined functions count as frames."""

Decision = Literal[
    "skipped", "repeated", "above the sentinel", "added, went on", "added, stopped", "not reached"
]


class Signature(msgspec.Struct, frozen=True):
    """A signature: printable ASCII, at most 255 characters, never empty."""

    signature: str
    proto_signature: str = ""
    """All frames that were looked at, joined by ` | `; empty when there was no stack."""
    notes: tuple[str, ...] = ()
    normalized_frames: tuple[str, ...] = ()


class FrameStep(msgspec.Struct, frozen=True):
    """What became of one frame, in walking order."""

    position: int
    """From 0, the top of the stack."""
    name: str
    """The frame as lists see it."""
    decision: Decision
    list: str = ""
    """The list that matched: irrelevant, prefix, sentinels; empty when none did."""
    where: str = ""
    """file:line of the line that matched."""
    pattern: str = ""
    """That line."""


class RuleStep(msgspec.Struct, frozen=True):
    """A rule that changed the signature."""

    rule: str
    before: str
    after: str


class Explanation(msgspec.Struct, frozen=True):
    """How a signature came about: what each frame gave, then what the rules made of it."""

    signature: Signature
    frames: tuple[FrameStep, ...]
    rules: tuple[RuleStep, ...]

    @property
    def steps(self) -> list[FrameStep | RuleStep]:
        """All steps in the order in which they were taken."""
        return [*self.frames, *self.rules]


class Trial(msgspec.Struct, frozen=True):
    """A crash with its signature by the lists in force and by those that are tried."""

    uuid: str
    old: str
    new: str

    @property
    def same(self) -> bool:
        """Whether the lists agree on it."""
        return self.old == self.new


class Change(msgspec.Struct, frozen=True):
    """Crashes that other lists would name differently, all in the same way."""

    old: str
    new: str
    count: int
    example: str
    """Id of one of them."""


class Comparison(msgspec.Struct, frozen=True):
    """What became of many trials."""

    same: int
    changed: int
    changes: list[Change]
    """The most frequent first."""
