"""Names of parameters: one that is not known, or contradicts itself, is refused before it can change an answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from missioncontrol.errors import BadRequest
from missioncontrol.query.aggregates import unknown


def refuse_unknown(
    pairs: Sequence[tuple[str, str]], once: Collection[str], repeated: Collection[str] = ()
) -> None:
    """Raises `BadRequest` (`unknown_parameter`, `repeated_parameter`) for a name that is not known, or has two values.

    once: names that may have one value; repeated: those that may have several.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in repeated:
            continue
        if name not in once:
            raise unknown("parameter", name, sorted([*once, *repeated]))
        if values.setdefault(name, value) != value:
            raise BadRequest("repeated_parameter", f"The parameter {name} is there twice.", "Say it once.")
