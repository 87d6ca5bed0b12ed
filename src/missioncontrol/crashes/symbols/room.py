"""How much memory the walker needs for a symbol file, and how much it may have: numbers and a sentence."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_USUAL_RATIO, _SURE_RATIO = 5, 7
"""Memory by bytes of file: what parsing takes, and as much again while it sorts what it parsed.

The second is for files of many short functions.
"""
_BESIDE_MB = 64
_SHARE = 0.75
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_MB = 1 << 20


def needed_mb(size_bytes: int) -> int:
    """The `stackwalk.memory_limit_mb` with which a .sym file of this size can be read."""
    return _SURE_RATIO * size_bytes // _MB + _BESIDE_MB


def limit_mb(wanted_mb: int, machine_mb: int | None = None) -> int:
    """The limit in force: as set, but three quarters of the machine's memory at most; 0: none.

    A walker that takes more than that ends others with it.
    """
    most = machine_mb if machine_mb is not None else memory_mb()
    return min(wanted_mb, int(most * _SHARE)) if most else wanted_mb


def memory_mb() -> int:
    """Memory of this machine, or of the container that this runs in; 0 where the system does not tell."""
    found = []
    with suppress(OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MB)
    with suppress(OSError, ValueError):
        found.append(int(_CGROUP.read_text(encoding="ascii")) // _MB)
    return min(found, default=0)


def too_large(size_bytes: int, limit: int, tried: bool = False) -> str:
    """What is said of symbols that cannot be read within `limit` MB; empty when they can, or when there is no limit.

    `tried`: the walker could not read them, under this limit or another.
    """
    ratio, needed = _SURE_RATIO if tried else _USUAL_RATIO, needed_mb(size_bytes)
    if not limit or ratio * size_bytes // _MB + _BESIDE_MB <= limit:
        return ""
    machine = memory_mb()
    if machine and needed > machine * _SHARE:
        return (
            f"The walker needs about {needed:,} MB of memory for it, more than it may take of this machine's "
            f"{machine:,} MB: give the server more."
        )
    return (
        f"The walker may not take the memory that it needs for it ({limit:,} MB): set memory_limit_mb = {needed} "
        "below [stackwalk] in missioncontrol.toml and start the server again."
    )
