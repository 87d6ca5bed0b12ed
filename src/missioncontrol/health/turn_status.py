"""What judging is doing, for other processes to read: a small file written after each turn."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from missioncontrol.small_file import replace_file


class TurnStatus(msgspec.Struct, frozen=True):
    """State after the newest turn; counts since judging began. `error`: why the turn as a whole failed."""

    pid: int
    written_at: datetime
    as_of: datetime | None = None
    """End of the newest window that was judged."""
    subjects: int = 0
    """Measures of versions that are current."""
    failed: list[str] = []
    """What could not be judged in the newest turn, a line each."""
    turns: int = 0
    looks: int = 0
    changes: int = 0
    failures: int = 0
    took_s: float = 0.0
    """Duration of the newest turn."""
    error: str = ""


def write_status(data: Path, status: TurnStatus) -> None:
    """Write the file; a status that cannot be written must not stop judging."""
    replace_file(_path(data), msgspec.json.encode(status))


def read_status(data: Path) -> TurnStatus | None:
    """The newest status; None when nothing was ever judged here."""
    try:
        return msgspec.json.decode(_path(data).read_bytes(), type=TurnStatus)
    except (OSError, msgspec.DecodeError):
        return None


def _path(data: Path) -> Path:
    return data / "verdicts-status.json"
