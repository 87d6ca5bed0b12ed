"""Rules on the memory report that Firefox sends after it ran out of memory: gzipped JSON, as about:memory saves it."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from missioncontrol.crashes.processing.model import Crash
from missioncontrol.crashes.processing.reading import integer_at, objects_at, text_at

INFLATED_LIMIT_BYTES = 20 * 1024 * 1024
_HEAP = 1
_EXACT = (
    "gfx-textures", "ghost-windows", "heap-allocated", "host-object-urls", "private", "resident", "resident-unique",
    "system-heap-allocated", "vsize", "vsize-max-contiguous",
)  # fmt: skip
_SUMS = {
    "explicit/": "explicit",
    "explicit/heap-overhead/": "heap_overhead",
    "explicit/images/": "images",
    "explicit/window-objects/top(none)/detached/": "top_none_detached",
    "js-main-runtime/": "js_main_runtime",
}


def measure_memory(crash: Crash) -> None:
    """`memory_measures` of the process that crashed, in bytes (`ghost_windows` and `host_object_urls` are counts)."""
    if crash.memory_report is None:
        return
    content, problem = _inflate(crash.memory_report)
    reports = objects_at(content, "reports")
    pid = integer_at(crash.dump, "pid")
    if problem or not reports or pid is None:
        crash.note(
            f"memory_report: {problem or ('no reports' if not reports else 'the dump names no process')}"
        )
        return
    own = [report for report in reports if f"pid {pid})" in text_at(report, "process")]
    if own:
        crash.document["memory_measures"] = measure(own)
    else:
        crash.note("memory_report: the process that crashed is not in it")


def measure(reports: list[dict[str, Any]]) -> dict[str, int]:
    """The measures of one process from its reports: `explicit` includes what the heap holds unaccounted for."""
    found: dict[str, int] = {}
    known_heap = 0
    for report in reports:
        path, amount = text_at(report, "path"), integer_at(report, "amount") or 0
        if path in _EXACT:
            name = path.replace("-", "_")
            found[name] = found.get(name, 0) + amount
        for start, name in _SUMS.items():
            if path.startswith(start):
                found[name] = found.get(name, 0) + amount
        if path.startswith("explicit/") and report.get("kind") == _HEAP:
            known_heap += amount
    if "heap_allocated" in found:
        found["heap_unclassified"] = found["heap_allocated"] - known_heap
        found["explicit"] = found.get("explicit", 0) + found["heap_unclassified"]
    return found


def _inflate(data: bytes) -> tuple[Any, str]:
    try:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        text = inflater.decompress(data, INFLATED_LIMIT_BYTES)
        if not inflater.eof:
            return None, "too large or cut"
        return msgspec.json.decode(text), ""
    except (zlib.error, msgspec.DecodeError, ValueError, RecursionError):
        return None, "no gzipped JSON"
