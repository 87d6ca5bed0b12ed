"""Which import is which: a name that outlives a killed process, so that the same command goes on where it stood.

A run is a small file in `imports/`, named after the files that it imports, deleted when it is finished, and locked
by the process that works on it. Each block of a run is a claimant of its own in the log: a block that is done again
finds its document ids free, any other block finds them taken. A run that was given up half-way keeps the ids of
what is in the lake, and only those.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from missioncontrol.errors import BadRequest
from missioncontrol.file_lock import try_lock

_NAME_LENGTH = 32


class ImportRun:
    """The run over these files. Raises `BadRequest` when another process is at it."""

    def __init__(self, data: Path, files: Sequence[Path], block_bytes: int) -> None:
        described = [f"{f.absolute()}\0{f.stat().st_size}\0{f.stat().st_mtime_ns}" for f in files]
        text = "\n".join([*described, str(block_bytes)])
        folder = data / "imports"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.running"
        self._file = self._path.open("a+")
        if not try_lock(self._file.fileno()):
            self._file.close()
            raise BadRequest(
                "import_running", "These files are being imported by another process.", "Wait for it."
            )
        self._file.seek(0)
        name = self._file.read()
        self.resumed = len(name) == _NAME_LENGTH
        self.name = name if self.resumed else self._begin()

    @property
    def app(self) -> str:
        """Name of the run's application transaction; its versions are numbers of blocks."""
        return app_of(self.name)

    def claimant(self, block: int) -> int:
        """A block of the run as the log knows it."""
        return claimant_of(self.name, block)

    def finish(self) -> None:
        """Forget the run: the same files again are a new import, all of whose pings are duplicates."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another process go on with the run, if it is not finished."""
        self._file.close()

    def abandoned(self) -> Iterator[str]:
        """Names of other runs that are neither finished nor under way."""
        for path in self._path.parent.glob("*.running"):
            if path == self._path:
                continue
            with path.open("r+") as file:
                name = file.read()
                if len(name) == _NAME_LENGTH and try_lock(file.fileno()):
                    yield name

    def _begin(self) -> str:
        name = uuid.uuid4().hex
        self._file.truncate(0)
        self._file.write(name)
        self._file.flush()
        os.fsync(self._file.fileno())
        return name


def running_names(data: Path) -> Iterator[str]:
    """Names of all runs that are not finished, under way or given up."""
    for path in (data / "imports").glob("*.running"):
        name = path.read_text(encoding="ascii", errors="replace")
        if len(name) == _NAME_LENGTH:
            yield name


def app_of(name: str) -> str:
    """The application transaction of a run."""
    return f"import:{name}"


def claimant_of(name: str, block: int) -> int:
    """A positive 63-bit number for a block of a run."""
    digest = hashlib.blake2b(f"{name}/{block}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (2**63 - 1) + 1
