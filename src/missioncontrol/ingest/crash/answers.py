"""What a client is answered: the lines of Mozilla's and Breakpad's clients, or a bare id for others."""

from __future__ import annotations

from typing import Literal

from missioncontrol.blobs.crash_keys import short_id

Shape = Literal["crash_id", "bare", "hex16"]


def accepted(crash_id: str, shape: Shape) -> bytes:
    """The body of a 200.

    `crash_id`: `CrashID=bp-<id>` and a newline; `bare`: the id alone; `hex16`: its first and last digits, 16 in all,
    for clients that take nothing else.
    """
    if shape == "bare":
        return crash_id.encode()
    if shape == "hex16":
        return short_id(crash_id).encode()
    return f"CrashID=bp-{crash_id}\n".encode()


def discarded(word: str) -> bytes:
    """The body of an answer to a report that is not kept."""
    return f"Discarded={word}".encode()
