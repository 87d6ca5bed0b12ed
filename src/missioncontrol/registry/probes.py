"""The probe dictionary: what clients can record, as imported from Mozilla's files, to pick measures from.

One compact JSON file in the data folder. Extraction never reads it: a measure is declared by its TOML block alone.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from missioncontrol.errors import ConfigError

FIREFOX = "firefox"
"""The source of legacy probes; any other source is a Glean application or library."""

Family = Literal["histogram", "scalar", "event", "environment", "simple_measures", "glean"]


class Probe(msgspec.Struct, frozen=True, omit_defaults=True):
    """One probe (Firefox) or metric (Glean) as it was last defined."""

    name: str
    source: str
    family: Family
    kind: str
    """Histogram: linear, exponential, enumerated, ...; scalar: uint, string, boolean; Glean: the metric's type."""
    keyed: bool = False
    """Recorded by key (Glean: by label)."""
    keys: list[str] = []
    """The keys or labels that it can have; empty: any."""
    labels: list[str] = []
    """Categorical histograms: the categories, in the order of their buckets."""
    processes: list[str] = []
    """As a ping names them (`parent`, `content`, ...), or `all`, `all_children`; empty: not known."""
    pings: list[str] = []
    """Glean: names of the pings it is sent in; empty: not known."""
    unit: str = ""
    low: int | None = None
    high: int | None = None
    """Lower bounds of the first bucket that is not underflow and of the last one."""
    buckets: int | None = None
    spacing: str = ""
    """How a Glean custom distribution spaces its buckets: linear or exponential."""
    description: str = ""
    first: str = ""
    last: str = ""
    """First and last version (Glean: day) in which it was defined."""
    retired: bool = False
    """No longer defined in the newest version of any channel."""
    on_release: bool = True
    """False: recorded on prerelease channels only, unless the user opted in."""


class _File(msgspec.Struct, frozen=True):
    format: int
    probes: list[Probe]


_FORMAT = 1


class ProbeDictionary:
    """The probes of all imported sources."""

    def __init__(self, probes: Iterable[Probe] = ()) -> None:
        self.probes = sorted(probes, key=lambda p: (p.name, p.source))

    def __bool__(self) -> bool:
        return bool(self.probes)

    def replaced(self, probes: Iterable[Probe]) -> ProbeDictionary:
        """This dictionary with all entries of the given probes' sources replaced by them."""
        new = {(p.source, p.family, p.name): p for p in probes}
        sources = {p.source for p in new.values()}
        return ProbeDictionary([*(p for p in self.probes if p.source not in sources), *new.values()])

    def named(self, name: str, source: str = "") -> list[Probe]:
        """The probes of exactly this name, of all sources or of one."""
        return [p for p in self.probes if p.name == name and source in ("", p.source)]

    def nearest(self, name: str, count: int = 3) -> list[str]:
        """Known names that resemble `name`, the most similar first."""
        known = {p.name.lower(): p.name for p in self.probes}
        wanted = name.lower()
        inside = [known[n] for n in known if wanted in n][:count] if len(wanted) > 3 else []
        close = [known[n] for n in difflib.get_close_matches(wanted, known, count, 0.75)]
        return list(dict.fromkeys([*close, *inside]))[:count]

    def search(self, pattern: str) -> list[Probe]:
        """Probes whose name matches (`*` and `?` as in file names, else a part of it), then those described so."""
        wanted = pattern.lower()
        if any(c in wanted for c in "*?["):
            return [p for p in self.probes if fnmatch.fnmatchcase(p.name.lower(), wanted)]
        by_name = [p for p in self.probes if wanted in p.name.lower()]
        by_text = [p for p in self.probes if wanted in p.description.lower() and wanted not in p.name.lower()]
        return by_name + by_text


def load_probes(path: Path) -> ProbeDictionary:
    """The dictionary at `path`, empty when there is none. Raises `ConfigError` when the file cannot be read."""
    hint = "Delete it and import the probe files again."
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return ProbeDictionary()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError("probes_unreadable", f"{path}: {error}", hint) from None
    if file.format != _FORMAT:
        raise ConfigError("probes_unreadable", f"{path} has format {file.format}, not {_FORMAT}.", hint)
    return ProbeDictionary(file.probes)


def save_probes(path: Path, dictionary: ProbeDictionary) -> None:
    """Write the dictionary atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(msgspec.json.encode(_File(_FORMAT, dictionary.probes)))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
