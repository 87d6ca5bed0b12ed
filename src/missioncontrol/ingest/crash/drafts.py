"""Files of reports while they arrive: small ones stay in memory, all others go to the disk.

What all of them hold in memory together is bounded; beyond that a small one goes to the disk too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from missioncontrol.blobs.protocol import Draft

SMALL_BYTES = 1 << 20
"""Most that a file may have to stay in memory."""
ALL_BYTES = 32 << 20
"""Most that all of them may have there together."""


class Memory:
    """How much of the room for small files is left. Thread-safe."""

    def __init__(self, all_bytes: int = ALL_BYTES) -> None:
        self._left_bytes = all_bytes
        self._lock = threading.Lock()

    def take(self, size_bytes: int) -> bool:
        """Take so much; False, and nothing is taken, when that is not left."""
        with self._lock:
            if size_bytes > self._left_bytes:
                return False
            self._left_bytes -= size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Give so much back."""
        with self._lock:
            self._left_bytes += size_bytes


class ReportDraft:
    """A file of a report. Use by one thread at a time."""

    def __init__(self, name: str, memory: Memory, on_disk: Callable[[str], Draft]) -> None:
        """`on_disk` is given the name and begins the file, once it is not small."""
        self.name = name
        self.size_bytes = 0
        self.data: bytearray | None = bytearray()
        """All of it; None when it is in `stored`."""
        self.stored: Draft | None = None
        self._memory, self._on_disk = memory, on_disk

    def write(self, data: bytes | memoryview) -> None:
        """Append; raises `StorageFull` and `StorageError`."""
        size_bytes = len(data)
        if self.data is not None:
            if self.size_bytes + size_bytes <= SMALL_BYTES and self._memory.take(size_bytes):
                self.data += data
                self.size_bytes += size_bytes
                return
            self._store()
        assert self.stored is not None
        self.stored.write(data)
        self.size_bytes += size_bytes

    def discard(self) -> None:
        """Give it up; harmless after a commit."""
        self._forget()
        if self.stored is not None:
            self.stored.discard()

    def _store(self) -> None:
        assert self.data is not None
        self.stored = self._on_disk(self.name)
        self.stored.write(memoryview(self.data))
        self._forget()

    def _forget(self) -> None:
        if self.data is not None:
            self._memory.give_back(len(self.data))
            self.data = None
