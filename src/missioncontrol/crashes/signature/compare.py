"""What other lists would make of crashes that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from missioncontrol.crashes.signature.engine import Engine
from missioncontrol.crashes.signature.model import Change, Comparison, Trial


def try_lists(documents: Iterable[Mapping[str, Any]], old: Engine, new: Engine) -> Iterator[Trial]:
    """Each processed crash with its signature by both engines, in the order given.

    Engines come from `Signatures.engine(profile)` and `Signatures.engine_with(profile, path)`.
    """
    for document in documents:
        uuid = document.get("uuid")
        yield Trial(
            uuid=uuid if isinstance(uuid, str) else "",
            old=old.generate(document).signature,
            new=new.generate(document).signature,
        )


def compare(trials: Iterable[Trial]) -> Comparison:
    """How many signatures stay and change, and the changes with how many crashes make each."""
    same = 0
    found: dict[tuple[str, str], list[str]] = {}
    for trial in trials:
        if trial.same:
            same += 1
        else:
            found.setdefault((trial.old, trial.new), []).append(trial.uuid)
    changes = [Change(old, new, len(ids), ids[0]) for (old, new), ids in found.items()]
    changes.sort(key=lambda change: (-change.count, change.old, change.new))
    return Comparison(same, sum(change.count for change in changes), changes)
