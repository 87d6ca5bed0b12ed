"""The registry of a running process: read again when a file of the user's changes.

The files are looked at (not read) each time it is asked for, so that a ping sent after a change is counted by it. A
file that does not validate changes nothing: the last good registry stays in force, and the error can be asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from missioncontrol.errors import ConfigError
from missioncontrol.file_stamp import Stamp, stamp
from missioncontrol.registry.load import load_registry
from missioncontrol.registry.model import Registry

logger = structlog.get_logger()


class RegistryWatcher:
    """Callable that gives the registry in force. Thread-safe."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._registry = load_registry(self._paths)
        self.error: ConfigError | None = None
        """Why the files as they are now are not in force, if they are not."""

    def __call__(self) -> Registry:
        """The registry in force."""
        with self._lock:
            self._refresh()
            return self._registry

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(stamp(path) for path in self._paths)

    def _refresh(self) -> None:
        seen = self._look()
        if seen == self._stamp:
            return
        self._stamp = seen
        try:
            self._registry = load_registry(self._paths)
            self.error = None
            logger.info("registry_loaded", revision=self._registry.revision)
        except ConfigError as error:
            self.error = error
            logger.error("registry_rejected", code=error.code, message=error.message, hint=error.hint)
