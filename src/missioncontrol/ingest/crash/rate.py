"""How many reports of a product are taken in a minute."""

from __future__ import annotations

import time


class RateLimit:
    """A bucket of tokens that fills steadily; a burst of one minute's worth is let through."""

    def __init__(self, per_minute: int) -> None:
        self._size = float(per_minute)
        self._tokens = self._size
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more may come now."""
        now = time.monotonic()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._size / 60)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
