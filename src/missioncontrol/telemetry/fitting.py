"""The registry by which a stream works: the one in force, or the last one that fits the tables of the lake."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from missioncontrol.errors import ConfigError
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.model import Registry

logger = structlog.get_logger()


class FittingRegistry:
    """Callable that gives it; its columns are in the tables then. Not thread-safe."""

    def __init__(self, writer: LakeWriter, source: Callable[[], Registry]) -> None:
        self._writer, self._source = writer, source
        self._adopted: Registry | None = None
        self._unfit = ""

    def __call__(self) -> Registry:
        """Raises `ConfigError` (`lake_column_type`) where none has fitted yet, and what `LakeWriter.ensure` does."""
        registry, known = self._source(), self._adopted
        if known is not None and registry.revision in (known.revision, self._unfit):
            return known
        try:
            self._writer.ensure(registry)
        except ConfigError as error:
            if known is None:
                raise
            self._unfit = registry.revision
            logger.error("registry_not_adopted", code=error.code, message=error.message)
            return known
        self._adopted = registry
        return registry
