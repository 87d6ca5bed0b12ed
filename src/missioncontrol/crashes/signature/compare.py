"""What other lists would make of crashes that are there already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from missioncontrol.crashes.signature.engine import Engine
from missioncontrol.crashes.signature.model import Trial


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
