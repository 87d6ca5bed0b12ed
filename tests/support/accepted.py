"""Entries as the edge accepts them, from a simulated fleet: some defective, some sent twice, some late.

entries = accepted(20_000, seed=1, now_ns=...)      # in the order of receipt
"""

from __future__ import annotations

import random
import zlib

import msgspec

from missioncontrol.log.protocol import Entry, Kind
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.submission import Submission

DAY_NS = 86_400 * 10**9


def accepted(count: int, seed: int, now_ns: int, clients: int = 3_000) -> list[Entry]:
    """`count` entries: of a hundred, five are copies of one before, ten have a defect, three come days late, and some
    are refusals.
    """
    rng = random.Random(seed)
    fleet = Fleet(seed, clients, now_ns, glean_share=0.1)
    found: list[Entry] = []
    for submission in fleet.last(count, light=True):
        lot = rng.random()
        if lot < 0.05 and found:
            copy = rng.choice(found)
            found.append(msgspec.structs.replace(copy, received_ns=submission.received_ns, count=1))
        elif lot < 0.051:
            found.append(Entry(Kind.REFUSED, submission.received_ns, detail="edge_too_large", count=3))
        else:
            found.append(_spoiled(_entry(submission), lot, rng))
    return found


def _entry(submission: Submission) -> Entry:
    return Entry(
        Kind.PING,
        submission.received_ns,
        submission.namespace,
        submission.document_type,
        submission.document_version,
        submission.document_id,
        submission.application,
        submission.version,
        submission.channel,
        submission.build_id,
        submission.country,
        (("user-agent", "pingsender/1.0"),),
        "gzip",
        zlib.compress(submission.body, 1, wbits=31),
    )


def _spoiled(entry: Entry, lot: float, rng: random.Random) -> Entry:
    """The entry with a defect where `lot` (0 to 1) says so."""
    replace = msgspec.structs.replace
    if lot < 0.07:
        return replace(entry, body=entry.body[: len(entry.body) // 2])
    if lot < 0.09:
        return replace(entry, body=b"<html>", encoding="")
    if lot < 0.11:
        return replace(entry, body=zlib.compress(b"[1, 2]", 6, wbits=31))
    if lot < 0.12:
        return replace(entry, body=b"", encoding="")
    if lot < 0.14:
        return replace(entry, document_type="unheard-of")
    if lot < 0.15:
        return replace(entry, headers=(("x-source-tags", "automation"),))
    if lot < 0.18:
        return replace(entry, received_ns=entry.received_ns - rng.randrange(1, 4) * DAY_NS)
    return entry
