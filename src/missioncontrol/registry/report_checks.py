"""What a declaration may say about crash reports: they are no pings, and only some keys mean something for them.

Each function gives what is wrong as (message, key, hint), or None.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from missioncontrol.registry.crash_columns import PUBLIC
from missioncontrol.registry.model import CRASH_REPORT, Dimension, Document, Measure

Fault = tuple[str, str, str]
OWN = "fields."
"""How the path of a field begins that the user declared."""
_DOCUMENT_KEYS = frozenset({"title", "description", "type", "renames"})
_RULES_OF_PINGS = ("profile_age", "quantum_ready", "activity_day")


def document_fault(document: Document, given: Iterable[str]) -> Fault | None:
    """What is wrong with a document whose block gives these keys."""
    if document.name != CRASH_REPORT:
        hint = f"Only [document.{CRASH_REPORT}] has them."
        return ("`renames` is for crash reports", "renames", hint) if document.renames else None
    foreign = sorted(set(given) - _DOCUMENT_KEYS)
    if foreign:
        return (f"`{foreign[0]}` is for pings, and a crash report is none", foreign[0], "")
    return None


def dimension_fault(dimension: Dimension) -> Fault | None:
    """What is wrong with the source of a dimension in crash reports."""
    if CRASH_REPORT not in dimension.sources:
        return None
    if dimension.normalise in _RULES_OF_PINGS:
        return (
            f'`normalise = "{dimension.normalise}"` needs a ping',
            "normalise",
            "Leave out from.crash_report.",
        )
    return _path_fault(dimension.sources[CRASH_REPORT], "from")


def measure_fault(measure: Measure) -> Fault | None:
    """What is wrong with a measure of crash reports."""
    if not measure.of_reports:
        return None
    for source in measure.sources:
        if source.documents != [CRASH_REPORT]:
            hint = "Declare two measures: the same crash may come as a ping and as a report."
            return ("a measure of crash reports cannot count pings too", "from", hint)
        if source.kind != "predicate":
            return (
                "a measure of crash reports counts them; it reads no numbers",
                "from",
                "Give `where` only.",
            )
        if source.absent is not None:
            return ("`absent` is for pings", "absent", "Give `where` only.")
        if any(check.build_age for check in source.where):
            return ("`build_age` is for pings", "where", "")
        if fault := _path_fault([check.path for check in source.where], "where"):
            return fault
    if measure.clients:
        return ("`clients` is for pings: a crash report names no client", "clients", "")
    return None


def _path_fault(paths: Iterable[str], key: str) -> Fault | None:
    for path in paths:
        if path in PUBLIC or (path.startswith(OWN) and path != OWN):
            continue
        close = difflib.get_close_matches(path, sorted(PUBLIC), 1)
        hint = f"Did you mean `{close[0]}`?" if close else f"A field of your own is `{OWN}NAME`."
        return (f"`{path}` is no public column of the table crashes", key, hint)
    return None
