"""Paths into a ping: text with dots, keys that hold dots in quotes; and the names of a submission's own parts."""

from __future__ import annotations

import re

SUBMISSION_PARTS = ("application", "channel", "version", "build_id", "country", "submission_date")
"""What `@name` may name: parts of the address or of an imported ping's `meta`."""

_SEGMENT = re.compile(r'"([^"]+)"|([^."]+)')


def split_path(path: str) -> tuple[str, ...]:
    """The object keys of a path. Raises ValueError when the text is no path."""
    keys: list[str] = []
    position = 0
    while True:
        match = _SEGMENT.match(path, position)
        if match is None:
            raise ValueError(f"`{path}` is no path: a key is missing at character {position + 1}")
        keys.append(match[1] or match[2])
        position = match.end()
        if position == len(path):
            return tuple(keys)
        if path[position] != ".":
            raise ValueError(f"`{path}` is no path: expected a dot at character {position + 1}")
        position += 1


def check_path(path: str) -> None:
    """Raise ValueError unless `path` is a path or names a part of the submission."""
    if path.startswith("@"):
        if path[1:] not in SUBMISSION_PARTS:
            known = ", ".join("@" + part for part in SUBMISSION_PARTS)
            raise ValueError(f"`{path}` names no part of a submission; known: {known}")
    else:
        split_path(path)
