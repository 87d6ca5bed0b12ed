"""The fields of a running process: read again when a file of the user's changes.

The files are looked at (not read) each time the fields are asked for. Files that do not validate change nothing: the
last good declarations stay in force, and the error can be asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from missioncontrol.crashes.fields.load import load_fields
from missioncontrol.crashes.fields.model import Fields
from missioncontrol.errors import ConfigError
from missioncontrol.file_stamp import Stamp, stamp

logger = structlog.get_logger()


class FieldsWatcher:
    """Callable that gives the fields in force. Thread-safe."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._fields = load_fields(self._paths)
        self.error: ConfigError | None = None
        """Why the files as they are now are not in force, if they are not."""

    def __call__(self) -> Fields:
        """The fields in force."""
        with self._lock:
            seen = self._look()
            if seen != self._stamp:
                self._stamp = seen
                self._reload()
            return self._fields

    def _reload(self) -> None:
        try:
            self._fields = load_fields(self._paths)
            self.error = None
            logger.info("crash_fields_loaded", revision=self._fields.revision)
        except ConfigError as error:
            self.error = error
            logger.error("crash_fields_rejected", code=error.code, message=error.message, hint=error.hint)

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(stamp(path) for path in self._paths)
