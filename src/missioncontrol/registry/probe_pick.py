"""Which probe is meant: one of the dictionary, or one that is taken on trust."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from missioncontrol.errors import BadRequest
from missioncontrol.registry.probes import FIREFOX, Family, Probe, ProbeDictionary, load_probes

_OF_FIREFOX = re.compile(r"[A-Z][A-Z0-9_]+")
_IMPORT = "missioncontrol registry import-probes FILE"


def pick(path: Path, name: str, source: str, kind: str, is_keyed: bool) -> tuple[Probe, list[str]]:
    """The probe of this name, and what there is to say about the choice.

    `kind` (histogram, scalar or a Glean metric type) is that of a probe which the dictionary at `path` does not know;
    without a dictionary, names like GC_MS are taken for histograms of Firefox. Raises `BadRequest` with similar names.
    """
    dictionary = load_probes(path)
    if kind:
        return _trusted(name, kind, is_keyed), [
            f"Nothing was checked: {name} was taken for a {kind} as you said."
        ]
    found = dictionary.named(name, source)
    if not found and not dictionary:
        if not _OF_FIREFOX.fullmatch(name):
            hint = f"Import one ({_IMPORT}), or say what it is with --as: histogram, scalar or a Glean metric type."
            raise BadRequest(
                "probe_unknown", f"What {name} is, only a probe dictionary can tell; none is imported.", hint
            )
        note = f"No probe dictionary is imported, so nothing was checked: {name} was taken for a histogram of Firefox."
        return _trusted(name, "histogram", is_keyed), [note, f"Import one with {_IMPORT}."]
    if not found:
        raise _unknown(dictionary, name, source)
    return _one(found, name), []


def _one(found: list[Probe], name: str) -> Probe:
    """The probe, when all of that name are the same to a measure."""
    if len({(p.family, p.kind) for p in found}) > 1:
        sources = ", ".join(f"{p.source} ({p.family} {p.kind})" for p in found)
        raise BadRequest(
            "probe_ambiguous", f"Several probes are called {name}: {sources}.", "Choose one with --source."
        )
    return found[0]


def _trusted(name: str, kind: str, is_keyed: bool) -> Probe:
    if kind in ("histogram", "scalar"):
        known = "uint" if kind == "scalar" else "histogram"
        return Probe(name=name, source=FIREFOX, family=cast(Family, kind), kind=known, keyed=is_keyed)
    return Probe(name=name, source="glean", family="glean", kind=kind, keyed=kind.startswith("labeled_"))


def _unknown(dictionary: ProbeDictionary, name: str, source: str) -> BadRequest:
    near = dictionary.nearest(name)
    of = f" of {source}" if source else ""
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return BadRequest(
        "probe_unknown",
        f"The probe dictionary knows no {name}{of}.",
        f"{hint}To add it all the same, say what it is with --as histogram, scalar or a Glean metric type.",
    )
