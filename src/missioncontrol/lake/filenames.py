"""What the name of a data file says: a file of the archive that is sealed, or that holds discarded pings only.

A name is known without opening the file, and neither Delta nor anybody else takes it for more than a name.
"""

from __future__ import annotations

import uuid
from typing import Literal

Kind = Literal["", "sealed", "discarded"]
"""`sealed`: bodies are kept unpacked, no ping was discarded. `discarded`: the same of discarded pings only."""


def new_path(partition: tuple[tuple[str, str], ...], kind: Kind = "") -> str:
    """A path that no file ever had, relative to the folder of the table."""
    folders = [f"{name}={_safe(value)}/" for name, value in partition]
    return f"{''.join(folders)}part-{kind and f'{kind}-'}{uuid.uuid4().hex}.parquet"


def kind_of(path: str) -> Kind:
    """What the name says; the empty text: nothing."""
    words = path.rpartition("/")[2].split("-")
    if len(words) == 3 and words[1] == "sealed":
        return "sealed"
    return "discarded" if len(words) == 3 and words[1] == "discarded" else ""


def _safe(value: str) -> str:
    """Only the log says what the value is; the folder's name is for people and plain readers."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in value)
