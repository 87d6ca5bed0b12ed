"""Bugs of signatures as pages and API show them: links with labels and addresses, and forms that file a new one.

A new bug is told what every reader may see, whoever asks: it goes to another server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.blobs.crash_objects import Document
from missioncontrol.crashes.bug_trackers import BugRef, BugTrackers, NewBug

if TYPE_CHECKING:
    from missioncontrol.state.signature_bugs import SignatureBug, SignatureBugs

_FRAMES = 10


class BugLink(msgspec.Struct, frozen=True):
    """A bug of a signature."""

    id: int
    """Of the link."""
    signature: str
    tracker: str
    bug: str
    label: str
    url: str
    """Empty: its tracker is no longer in the settings."""
    title: str
    added_at: datetime
    who: str | None = None
    """Who linked it; None for readers who may not see names of people."""
    others: tuple[str, ...] = ()
    """Further signatures that have this bug, where they were asked for."""


class CrashBugs:
    """The bugs of one installation. `store` is asked for at the first question."""

    def __init__(self, store: Callable[[], SignatureBugs], trackers: BugTrackers) -> None:
        self.store, self.trackers = store, trackers

    def of_signatures(self, signatures: Iterable[str | None]) -> dict[str, list[BugLink]]:
        """The bugs of each of the signatures that has some."""
        found: dict[str, list[BugLink]] = {}
        for link in self.store().of_signatures([s for s in signatures if s]):
            found.setdefault(link.signature, []).append(self.shown(link, named=False))
        return found

    def of_signature(self, signature: str | None, named: bool) -> list[BugLink]:
        """The bugs of a signature, with the other signatures of each. `named`: the reader may see who linked it."""
        links = self.store().related([signature]) if signature else []
        others: dict[tuple[str, str], tuple[str, ...]] = {}
        for link in links:
            if link.signature != signature:
                key = (link.tracker, link.bug)
                others[key] = (*others.get(key, ()), link.signature)
        own = [link for link in links if link.signature == signature]
        return [
            msgspec.structs.replace(self.shown(o, named), others=others.get((o.tracker, o.bug), ()))
            for o in own
        ]

    def shown(self, link: SignatureBug, named: bool) -> BugLink:
        """A link as it is shown."""
        ref = BugRef(link.tracker, link.bug)
        return BugLink(
            link.id, link.signature, link.tracker, link.bug, self.trackers.label(ref), self.trackers.url(ref),
            link.title, link.added_at, link.who if named else None,
        )  # fmt: skip

    def new_bugs(self, signature: str | None, crash: Document | None, base_url: str) -> dict[str, str]:
        """By tracker the address of its form for a new bug, filled in from a crash; `crash`: its public part alone."""
        if not signature:
            return {}
        return self.trackers.new_bug_urls(_told(signature, crash or {}, base_url))


def _told(signature: str, crash: Document, base_url: str) -> NewBug:
    from missioncontrol.crashes.processing.reading import text_at  # see crash_report_pages

    crash_id = text_at(crash, "uuid")
    return NewBug(
        signature=signature,
        product=text_at(crash, "product"),
        version=text_at(crash, "version"),
        crash_id=crash_id,
        report=f"{base_url}/report/{crash_id}" if crash_id else "",
        frames=_frames(crash),
    )


def _frames(crash: Document) -> tuple[str, ...]:
    """The top of the crashing thread, inlined functions included; of a stack of Java what its signature was made of."""
    from missioncontrol.crashes.processing.reading import crashing_frames, integer_at, source_frames, text_at

    found = []
    for frame in source_frames(crashing_frames(crash)):
        name = text_at(frame, "function") or text_at(frame, "module")
        file, line = text_at(frame, "file"), integer_at(frame, "line")
        where = f"  {file}:{line}" if file and line else f"  {file}" if file else ""
        found.append(f"{name}{where}" if name else "?")
        if len(found) == _FRAMES:
            break
    return tuple(found or [part for part in text_at(crash, "proto_signature").split(" | ")[:_FRAMES] if part])
