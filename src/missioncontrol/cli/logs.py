"""Log lines of the command line: readable on a terminal, JSON otherwise; always on stderr."""

from __future__ import annotations

import sys

# structlog loads rich where it can, to draw tracebacks that are never shown; in a server it would stay in memory.
_rich_is_needed = "rich" in sys.modules
if not _rich_is_needed:
    sys.modules["rich"] = None  # type: ignore[assignment]

import structlog  # noqa: E402

if not _rich_is_needed:
    del sys.modules["rich"]


def configure_logs() -> None:
    """Set up structlog once a process."""
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
