"""Small files that tell other processes something: whole or not at all, and never worth stopping for."""

from __future__ import annotations

from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, making its folder where it is missing; who reads it sees the old one or the new one.

    Where it cannot be written (a full disk, a folder that may only be read) the old one stays.
    """
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        return
