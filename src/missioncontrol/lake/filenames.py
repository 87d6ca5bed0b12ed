"""What the name of a data file says: a file of the archive that is sealed or holds discarded pings only, or counts of
crash reports.

A name is known without opening the file, and neither Delta nor anybody else takes it for more than a name.
"""

from __future__ import annotations

import uuid
from typing import Literal

Kind = Literal["", "sealed", "discarded", "reports"]
"""`sealed`: bodies are kept unpacked, no ping was discarded. `discarded`: the same of discarded pings only. `reports`:
sums over the table `crashes`, which are made again as a whole."""
_KINDS: tuple[Kind, ...] = ("sealed", "discarded", "reports")


def new_path(partition: tuple[tuple[str, str], ...], kind: Kind = "") -> str:
    """A path that no file ever had, relative to the folder of the table."""
    folders = [f"{name}={_safe(value)}/" for name, value in partition]
    return f"{''.join(folders)}part-{kind and f'{kind}-'}{uuid.uuid4().hex}.parquet"


def kind_of(path: str) -> Kind:
    """What the name says; the empty text: nothing."""
    words = path.rpartition("/")[2].split("-")
    return next((kind for kind in _KINDS if len(words) == 3 and words[1] == kind), "")


def _safe(value: str) -> str:
    """Only the log says what the value is; the folder's name is for people and plain readers."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in value)
