"""The peer that takes crash reports: Antenna, Mozilla's collector, out of a checkout that the environment names.

Nothing of it is part of this project. `ANTENNA_SOURCE` is the folder of a clone of mozilla-services/antenna, of March
2024 or later (since then a report is written before it is answered). The packages of its requirements.txt are installed
into an environment of their own in bench/.work.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import free_port, server
from workspace import BenchError, python_with

SOURCE = "ANTENNA_SOURCE"
WORKERS = 5
_SETTINGS = {
    "CRASHMOVER_CRASHSTORAGE_CLASS": "antenna.ext.fs.crashstorage.FSCrashStorage",
    "CRASHMOVER_CRASHPUBLISH_CLASS": "antenna.ext.crashpublish_base.NoOpCrashPublish",
    "BREAKPAD_THROTTLER_RULES": "antenna.throttler.ACCEPT_ALL",
}
"""Files, no queue, and every report is taken; everything else as it comes."""


def source() -> Path | None:
    """The checkout; None when none is named. Raises `BenchError` when what is named is none."""
    named = os.environ.get(SOURCE)
    if not named:
        return None
    folder = Path(named).absolute()
    if not (folder / "antenna" / "breakpad_resource.py").is_file() or not _requirements(folder).is_file():
        raise BenchError(f"{SOURCE}={named} is no checkout of mozilla-services/antenna.")
    return folder


def version(folder: Path) -> str:
    """The commit of the checkout, as far as it can be told."""
    done = subprocess.run(
        ["git", "-C", folder, "rev-parse", "--show-toplevel", "HEAD"], capture_output=True, text=True
    )
    lines = done.stdout.split()
    return (
        f"commit {lines[1][:10]}"
        if done.returncode == 0 and Path(lines[0]) == folder
        else "of no known commit"
    )


@contextmanager
def running(folder: Path, files: Path) -> Iterator[tuple[int, int]]:
    """The collector on a port of its own, its reports in `files`: (port, process id)."""
    digest = hashlib.sha256(_requirements(folder).read_bytes()).hexdigest()[:12]
    python = python_with("antenna", digest, "-r", str(_requirements(folder)))
    port = free_port()
    command = [
        *(str(python), "-m", "gunicorn", "--workers", str(WORKERS), "--worker-class", "sync"),
        *("--bind", f"127.0.0.1:{port}", "antenna.wsgi:application"),
    ]
    settings = {**_SETTINGS, "CRASHMOVER_CRASHSTORAGE_FS_ROOT": str(files), "PYTHONPATH": str(folder)}
    with server(command, port, **settings) as pid:
        yield port, pid


def stored(files: Path) -> int:
    """How many reports are there, whole."""
    dumps = {file.name for file in files.glob("*/upload_file_minidump/*") if file.stat().st_size}
    return sum(file.stem in dumps for file in files.glob("*/raw_crash/*.json"))


def _requirements(folder: Path) -> Path:
    return folder / "requirements.txt"
