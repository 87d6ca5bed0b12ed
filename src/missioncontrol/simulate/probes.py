"""Histograms as text: pools of ready rendered pieces that main pings are put together from.

A real main ping holds hundreds of histograms of which few are ever read. Rendering them anew for each ping
would cost more than the server's work on them, so each slot (a fixed group of names) has a few ready
alternatives with other values. Names never repeat within a ping. The probes that the server measures are
kept apart, in a pool of their own with more alternatives.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SLOT_BYTES = 1_200
"""About how long the text of a slot is."""
ALTERNATIVES = 6
_AREAS = (
    "CACHE", "COOKIES", "CSS", "DISK", "DNS", "DOM", "DOWNLOADS", "FONT", "FORMS", "FX_TAB", "GFX",
    "HISTORY", "HTTP", "IMAGE", "INDEXED_DB", "IPC", "JS", "LAYOUT", "LOCALSTORAGE", "LOGIN", "MEDIA",
    "MEMORY", "NETWORK", "PLACES", "PRINT", "PUSH", "SEARCH", "SESSION", "SSL", "STARTUP", "STYLE",
    "SYNC", "THUMBNAILS", "TLS", "UPDATE", "URLBAR", "VIDEO", "WEBAUTHN", "WEBGL", "WEBRTC", "WORKER",
    "XHR",
)  # fmt: skip
_THINGS = (
    "BACKOFF", "BLOCKED", "CLOSE", "COMMIT", "DECODE", "DISPATCH", "EVICTION", "FALLBACK", "FLUSH",
    "HANDSHAKE", "HIT", "IDLE", "INIT", "LOAD", "LOOKUP", "MISS", "OPEN", "PARSE", "QUEUE", "READ",
    "RECALC", "REDIRECT", "REQUEST", "RESUME", "RETRY", "SERIALIZE", "SHUTDOWN", "SWAP", "SWITCH",
    "UPLOAD", "VALIDATE", "WRITE",
)  # fmt: skip
_KINDS = (("_MS", 0), ("_COUNT", 0), ("_KB", 0), ("_RESULT", 1), ("_USED", 2), ("_SUCCESS", 3), ("_TOTAL", 4))
_LINEAR, _BOOLEAN, _FLAG, _COUNT = 1, 2, 3, 4

_PAUSES = {"GC_MS": 35.0, "GC_MAX_PAUSE_MS_2": 60.0, "CYCLE_COLLECTOR_MAX_PAUSE": 25.0}
_ERROR_COUNTS = {
    "SLOW_SCRIPT_NOTICE_COUNT": 0.05,
    "SLOW_SCRIPT_PAGE_COUNT": 0.04,
    "BROWSER_SHIM_USAGE_BLOCKED": 0.01,
    "PERMISSIONS_SQL_CORRUPTED": 0.003,
    "DEFECTIVE_PERMISSIONS_SQL_REMOVED": 0.003,
}


class Slot(msgspec.Struct, frozen=True):
    """Alternatives of one group of histograms, each `"NAME":{...},"NAME":{...},` with a trailing comma."""

    alternatives: tuple[bytes, ...]

    @property
    def shortest(self) -> int:
        """Bytes of the shortest alternative."""
        return min(len(text) for text in self.alternatives)


def make_slots(rng: np.random.Generator, names: list[str], total_bytes: int) -> list[Slot]:
    """As many slots as `total_bytes` need, taking names off the front of `names`."""
    slots: list[Slot] = []
    size = 0
    while size < total_bytes:
        group: list[tuple[str, int]] = []
        length = 0
        while length < SLOT_BYTES:
            name, kind = names.pop(0), int(rng.integers(0, len(_KINDS)))
            group.append((name + _KINDS[kind][0], _KINDS[kind][1]))
            length += len(_unread(rng, *group[-1]))
        slot = Slot(tuple(b"".join(_unread(rng, *g) for g in group) for _ in range(ALTERNATIVES)))
        slots.append(slot)
        size += slot.shortest
    return slots


def probe_names(rng: np.random.Generator) -> list[str]:
    """Some thousand made-up names in random order."""
    names = [f"{a}_{t}" for a in _AREAS for t in _THINGS]
    names += [f"{name}_{more}" for name in names for more in ("CONTENT", "FIRST")]
    return [names[n] for n in rng.permutation(len(names))]


def measured(rng: np.random.Generator, content: bool, light: bool) -> bytes:
    """Histograms that the server reads, without braces or trailing comma."""
    texts: list[bytes] = []
    scale = 0.6 if content else 1.0
    pauses = _PAUSES
    if light:
        pauses = {} if content else {"GC_MAX_PAUSE_MS_2": _PAUSES["GC_MAX_PAUSE_MS_2"]}
    for name, typical in pauses.items():
        texts.append(
            exponential(rng, name, typical * scale, int(rng.integers(1, 4 if light else 60)), 10_000)
        )
    samples = int(rng.integers(1, 6 if light else 400))
    texts.append(exponential(rng, "INPUT_EVENT_RESPONSE_COALESCED_MS", 12 * scale, samples, 10_000))
    if rng.random() < 0.25 and not (light and content):
        texts.append(exponential(rng, "GHOST_WINDOWS", 0.3, int(rng.integers(1, 10)), 128))
    if not content:
        for name, share in _ERROR_COUNTS.items():
            if rng.random() < share:
                texts.append(count(name, int(rng.geometric(0.5))))
    return b",".join(texts)


def exponential(rng: np.random.Generator, name: str, typical: float, samples: int, high: int) -> bytes:
    """A histogram of `samples` log-normal values around `typical`, in exponential buckets up to `high`."""
    edges = _edges(high)
    values = np.clip(rng.lognormal(np.log(typical), 1.2, samples), 0, high)
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 1)
    counts = np.bincount(place, minlength=len(edges))
    return histogram(name, high, len(edges), 0, _sparse(edges, counts), int(values.sum()))


def count(name: str, value: int) -> bytes:
    """A count histogram: everything is in bucket 0."""
    return histogram(name, 2, 3, _COUNT, f'"0":{value},"1":0', value)


def histogram(name: str, high: int, buckets: int, kind: int, values: str, total: int) -> bytes:
    """`"NAME":{"range":...,"values":{...},"sum":...}` as Firefox packs it."""
    return (
        f'"{name}":{{"range":[1,{high}],"bucket_count":{buckets},"histogram_type":{kind},'
        f'"values":{{{values}}},"sum":{total}}}'
    ).encode()


def _unread(rng: np.random.Generator, name: str, kind: int) -> bytes:
    """A histogram that nobody reads, with a trailing comma."""
    if kind == 0:
        samples = int(rng.integers(1, 25))
        return exponential(rng, name, float(rng.lognormal(3, 1.5)), samples, 10_000) + b","
    if kind == _LINEAR:
        counts = rng.poisson(1.5, 8)
        total = int((counts * np.arange(8)).sum())
        return histogram(name, 50, 51, _LINEAR, _sparse(np.arange(8), counts), total) + b","
    if kind == _COUNT:
        return count(name, int(rng.geometric(0.05))) + b","
    yes, no = (int(n) for n in rng.poisson(4, 2))
    if kind == _FLAG:
        return histogram(name, 2, 3, _FLAG, '"0":0,"1":1,"2":0', 1) + b","
    return histogram(name, 2, 3, _BOOLEAN, f'"0":{no},"1":{yes},"2":0', yes) + b","


def _edges(high: int) -> Ints:
    edges: Ints = np.unique(np.concatenate([[0], np.geomspace(1, high, 49).astype(np.int64)]))
    return edges


def _sparse(edges: Ints, counts: Ints) -> str:
    """Buckets with samples, and an empty one on each side of them, as Firefox sends."""
    used = counts > 0
    shown = used.copy()
    shown[:-1] |= used[1:]
    shown[1:] |= used[:-1]
    if not shown.any():
        shown[0] = True
    return ",".join(f'"{int(e)}":{int(c)}' for e, c in zip(edges[shown], counts[shown], strict=True))
