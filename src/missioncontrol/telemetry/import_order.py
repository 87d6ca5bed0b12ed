"""Which copy of a ping was received first, over all blocks of an import.

Blocks are worked on one after the other, so a look through all of them comes before: of each line only identity and
time of receipt, 16 bytes. An import of a single block does without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np


class Receipts(msgspec.Struct, frozen=True):
    """The lines of a block: 64-bit digests of their document ids (0: none) and times of receipt in nanoseconds."""

    digests: bytes
    received_ns: bytes


def receipts(lines: Iterable[tuple[str, int]]) -> Receipts:
    """From (document id, received_ns) of each line; an empty id stands for a line that cannot be used."""
    digests, times = [], []
    for identity, received_ns in lines:
        digest = hashlib.blake2b(identity.lower().encode("utf-8", "replace"), digest_size=8).digest()
        digests.append(int.from_bytes(digest, "little") if identity else 0)
        times.append(received_ns)
    return Receipts(np.array(digests, np.uint64).tobytes(), np.array(times, np.int64).tobytes())


def later_copies(blocks: Sequence[Receipts]) -> list[frozenset[int]]:
    """For each block the indexes of lines of which an earlier copy is somewhere; of equal times the first in order."""
    if not blocks:
        return []
    digests = np.concatenate([np.frombuffer(b.digests, np.uint64) for b in blocks])
    received = np.concatenate([np.frombuffer(b.received_ns, np.int64) for b in blocks])
    order = np.lexsort((received, digests))  # stable: equal ones stay in order
    ordered = digests[order]
    later = np.sort(order[1:][(ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)])
    ends = np.cumsum([len(b.digests) // 8 for b in blocks])
    parts = np.split(later, np.searchsorted(later, ends[:-1]))
    starts = [0, *ends[:-1].tolist()]
    return [frozenset((part - start).tolist()) for part, start in zip(parts, starts, strict=True)]
