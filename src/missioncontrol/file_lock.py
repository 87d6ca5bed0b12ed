"""Locks between processes of one machine: held by an open file, and freed by the system when it is closed.

However a process ends, nothing stays locked.
"""

from __future__ import annotations

import fcntl
from typing import IO


def try_lock(file: int | IO[str], shared: bool = False) -> bool:
    """Take the lock of an open file without waiting; False while others have it. `shared`: beside others that do so."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
