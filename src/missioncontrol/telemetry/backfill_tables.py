"""Which tables hold a measure or a dimension, so that a backfill of it makes these again."""

from __future__ import annotations

import difflib

from missioncontrol.errors import BadRequest
from missioncontrol.registry.model import Registry
from missioncontrol.telemetry.backfill_plan import STREAM_TABLES


def tables_with(name: str, registry: Registry) -> tuple[str, ...]:
    """The tables to be made of pings that hold a measure or dimension; none for a measure of crash reports.

    Raises `BadRequest` (`registry_unknown`).
    """
    measure, dimension = registry.measures.get(name), registry.dimensions.get(name)
    if measure is not None and measure.of_reports:
        return ()
    if measure is not None:
        held = {"error_aggregates", "experiment_aggregates"}
        held |= {"client_aggregates"} if measure.counts_clients else set()
        held |= {"usage_by_activity"} if name == "usage_hours" else set()
    elif dimension is not None and dimension.enabled:
        held = {"error_aggregates"}
        held |= {"experiment_aggregates"} if dimension.experiments else set()
        held |= {"client_aggregates"} if dimension.clients else set()
    else:
        close = difflib.get_close_matches(
            name[:80], [*registry.measures, *(d.name for d in registry.keys)], 1
        )
        hint = f"Did you mean `{close[0]}`?" if close else "See `missioncontrol registry list`."
        hint = "Switch it on with `enabled = true` first." if dimension is not None else hint
        raise BadRequest("registry_unknown", f"No measure or dimension {name[:80]!r} is in use.", hint)
    return tuple(table for table in STREAM_TABLES if table in held)
