"""Picks the histograms of a main ping from ready pieces, to a length that is asked for.

All text is rendered once (see `probes`); a ping costs two slices of it. Nothing here depends on the client or
the session: which pieces a ping gets is decided by its random bits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from missioncontrol.simulate.probes import Slot, make_slots, measured, probe_names

OVERSHOOT_BYTES = 4_000
"""Whole slots can take a ping this far over its target."""
_ARRANGEMENTS = 8
_MEASURED = 256
_CONTENT_SHARE = 0.3
"""Share of the histograms that belong to content processes."""


class Histograms:
    """Ready histograms for full main pings of up to `sizes[1]` bytes, and for light ones."""

    def __init__(self, rng: np.random.Generator, sizes: tuple[int, int]) -> None:
        names = probe_names(rng)
        room = sizes[1] - 3_000
        parent = make_slots(rng, names, int(room * (1 - _CONTENT_SHARE)))
        content = make_slots(rng, names, int(room * _CONTENT_SHARE))
        self._parent = _Arrangements(rng, parent)
        self._content = _Arrangements(rng, content)
        self._measured = [(measured(rng, False, False), measured(rng, True, False)) for _ in range(_MEASURED)]
        self._light = [(measured(rng, False, True), measured(rng, True, True)) for _ in range(_MEASURED)]

    def light(self, noise: int) -> tuple[bytes, bytes]:
        """Histograms of the main process and of content processes."""
        return self._light[noise >> 28 & (_MEASURED - 1)]

    def full(self, noise: int, size_bytes: int) -> tuple[bytes, bytes]:
        """The same, together as near to `size_bytes` as whole slots allow, and never less."""
        parent, content = self._measured[noise >> 28 & (_MEASURED - 1)]
        left = size_bytes - len(parent) - len(content)
        more_content = self._content.at_least(noise >> 36, int(left * _CONTENT_SHARE))
        more_parent = self._parent.at_least(noise >> 42, left - len(more_content))
        return more_parent + parent, more_content + content


class _Arrangements:
    """Random choices of alternatives, with the running length of each, so that a length can be looked up."""

    def __init__(self, rng: np.random.Generator, slots: Sequence[Slot]) -> None:
        self._texts: list[bytes] = []
        self._ends: list[list[int]] = []
        for _ in range(_ARRANGEMENTS):
            chosen = [slot.alternatives[int(rng.integers(0, len(slot.alternatives)))] for slot in slots]
            self._texts.append(b"".join(chosen))
            self._ends.append([0, *(int(n) for n in np.cumsum([len(text) for text in chosen]))])

    def at_least(self, pick: int, size_bytes: int) -> bytes:
        """The first slots of an arrangement that reach `size_bytes`; all slots when they do not."""
        ends = self._ends[pick % len(self._ends)]
        place = min(bisect_left(ends, size_bytes), len(ends) - 1)
        return self._texts[pick % len(self._ends)][: ends[place]]
