"""Measurements of people: how many clients or sessions there were, and how many had at least one of a measure.

They come from client_aggregates, merged over hours and dimensions. Names: `client_count`, `session_count`,
`<measure>_client_count`, `<measure>_session_count`, and `crash_free_users`, the share of clients without a main crash;
each with `_low` and `_high` for the bounds of the sketches at two standard errors.
"""

from __future__ import annotations

import msgspec

from missioncontrol.query import dialect
from missioncontrol.registry.model import Registry

SHARE = "crash_free_users"
_SHARE_OF = "main_crashes"
_BOUNDS = {"": 0, "_low": -1, "_high": 1}
_KINDS = {"client": "clients", "session": "sessions"}


class ClientMeasure(msgspec.Struct, frozen=True):
    """A measurement of people."""

    name: str
    columns: tuple[str, ...]
    """Sketch columns: what is counted; of a share everyone and those who are taken off."""
    bound: int
    """-1 the lower bound, 0 the estimate, 1 the upper bound."""
    title: str

    @property
    def is_share(self) -> bool:
        """A share from 0 to 1; else a number."""
        return len(self.columns) == 2

    @property
    def column_type(self) -> str:
        """Type of the answer's column."""
        return "float64" if self.is_share else "int64"

    @property
    def sql(self) -> str:
        """An aggregate over rows of client_aggregates; needs the sketch functions."""
        lists = ", ".join(f"list({dialect.name(c)})" for c in self.columns)
        if self.is_share:
            return f"mc_without({lists}, {self.bound})"
        return f"CAST(round(mc_count({lists}, {self.bound})) AS BIGINT)"


def client_measures(registry: Registry) -> dict[str, ClientMeasure]:
    """All measurements of people by name."""
    made = [_measure(f"{kind}_count", (plural,), f"{kind.capitalize()}s") for kind, plural in _KINDS.items()]
    for measure in registry.client_measures:
        for kind, plural in _KINDS.items():
            name, title = f"{measure.name}_{kind}_count", f"{kind.capitalize()}s with {measure.title.lower()}"
            made.append(_measure(name, (f"{measure.name}_{plural}",), title))
    if any(m.name == _SHARE_OF for m in registry.client_measures):
        made.append(_measure(SHARE, ("clients", f"{_SHARE_OF}_clients"), "Crash-free users"))
    return {
        f"{m.name}{suffix}": msgspec.structs.replace(m, name=f"{m.name}{suffix}", bound=bound)
        for m in made
        for suffix, bound in _BOUNDS.items()
    }


def _measure(name: str, columns: tuple[str, ...], title: str) -> ClientMeasure:
    return ClientMeasure(name, columns, 0, title)
