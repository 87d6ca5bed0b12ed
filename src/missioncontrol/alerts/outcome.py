"""How an attempt to send went."""

from __future__ import annotations

from typing import Literal

import msgspec

LONGEST_ANSWER = 300


class Outcome(msgspec.Struct, frozen=True):
    """What the other side, or the network, made of a message."""

    result: Literal["sent", "later", "never"]
    """later: it may work another time; never: only when somebody changes something."""
    answer: str
    """In words, for people."""
    wait_s: float = 0.0
    """How long the other side asked us to wait."""


def sent(answer: str) -> Outcome:
    """It arrived."""
    return Outcome("sent", answer[:LONGEST_ANSWER])


def later(answer: str, wait_s: float = 0.0) -> Outcome:
    """It may work another time."""
    return Outcome("later", answer[:LONGEST_ANSWER], wait_s)


def never(answer: str) -> Outcome:
    """It will not work as things are."""
    return Outcome("never", answer[:LONGEST_ANSWER])
