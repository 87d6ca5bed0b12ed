"""A stored crash for commands; where there is none, why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missioncontrol.blobs.crash_objects import Document
    from missioncontrol.services import Services


def read_raw(services: Services, crash_id: str) -> Document:
    """What was sent, by the checked id; raises `NotFound` (`unknown_crash`)."""
    from missioncontrol.blobs.crash_objects import read_raw_crash
    from missioncontrol.errors import NotFound

    try:
        return read_raw_crash(services.blobs, crash_id)
    except NotFound:
        raise _unknown(crash_id) from None


def read_processed(services: Services, crash_id: str) -> Document:
    """What was made of it; raises `NotFound` (`unknown_crash`, `not_processed`)."""
    from missioncontrol.blobs.crash_keys import raw_key
    from missioncontrol.blobs.crash_objects import read_processed_crash
    from missioncontrol.errors import NotFound

    try:
        return read_processed_crash(services.blobs, crash_id)
    except NotFound:
        if not services.blobs.exists(raw_key(crash_id)):
            raise _unknown(crash_id) from None
        raise NotFound(
            "not_processed", f"Crash {crash_id} is not processed.", _standing(services, crash_id)
        ) from None


def _unknown(crash_id: str) -> Exception:
    from missioncontrol.errors import NotFound

    return NotFound("unknown_crash", f"There is no crash {crash_id} here.")


def _standing(services: Services, crash_id: str) -> str:
    """Where it is in the queue, and what to do."""
    from missioncontrol.clock import system_clock, utc

    entry = services.crash_queue.entry(crash_id, utc(system_clock()))
    again = f"`missioncontrol crash reprocess {crash_id}`"
    if entry is None:
        return f"It does not wait either, as when its stacks are no longer kept: {again}."
    if entry.set_aside:
        return f"It failed {entry.attempts:,} times: {entry.reason}. To try again: {again}."
    if entry.held:
        return "It is being processed now."
    place = services.crash_queue.place(crash_id) or 0
    return f"It waits; {place:,} are before it. A running server processes it; so does `missioncontrol crash process`."
