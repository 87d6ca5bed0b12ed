"""One measure of one experiment, branch by branch over time: the question of `/api/experiment/`.

Both ends of the time that is asked for are included, as the predecessor has it. Reads experiment_aggregates, in which a
client of two experiments is in rows of both; never adds experiments up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.query import dialect
from missioncontrol.query.aggregates import unknown
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.registry.model import Registry

TABLE = "experiment_aggregates"
_USAGE = "usage_hours"
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Item = tuple[str, float, float]
"""(start of the window in ISO 8601, sum of the measure, usage hours)"""


class ExperimentQuery(msgspec.Struct, frozen=True):
    """A measure of an experiment from `first` to `last`, both included."""

    experiment: str
    measure: str
    first: datetime
    last: datetime


def parse_experiment_query(given: Mapping[str, str], registry: Registry, now: datetime) -> ExperimentQuery:
    """The question in the parameters; others are passed over, as the predecessor did.

    Raises `BadRequest`: `missing_parameter`, `unknown_measure`, `bad_interval`, `bad_start`.
    """
    for name in ("experiment", "measure", "interval"):
        if not given.get(name):
            hint = "As in experiment=pref-flip-x&measure=main_crashes&interval=86400."
            raise BadRequest("missing_parameter", f"The parameter {name} is missing.", hint)
    if given["measure"] not in registry.measures:
        raise unknown("measure", given["measure"], registry.measures)
    length = timedelta(seconds=_seconds("interval", given["interval"]))
    if "start" not in given:
        return ExperimentQuery(given["experiment"], given["measure"], max(_EPOCH, now - length), now)
    start = _EPOCH + timedelta(seconds=_seconds("start", given["start"]))
    return ExperimentQuery(given["experiment"], given["measure"], start, min(start + length, _LATEST))


def branches(engine: Engine, query: ExperimentQuery) -> dict[str, list[Item]]:
    """The windows of each branch, oldest first; a branch without a name is empty text.

    Raises `NotFound` (`unknown_experiment`) when no ping of the experiment ever arrived, else as `Engine.over()`.
    """
    snapshot = engine.reader.snapshot(TABLE)
    held = {c.name for c in snapshot.columns} if snapshot else set()
    value, usage = (f"sum({dialect.name(n)})" if n in held else "NULL" for n in (query.measure, _USAGE))
    found = engine.over(
        TABLE,
        f"SELECT coalesce(experiment_branch, ''), epoch_us(window_start), coalesce({value}, 0), coalesce({usage}, 0) "
        "FROM {relation} WHERE experiment_id = ? AND window_start BETWEEN ? AND ? GROUP BY 1, 2 ORDER BY 1, 2",
        (query.experiment, query.first, query.last),
        Span(query.first, query.last),
    )
    if not found and not engine.over(TABLE, _ANY, (query.experiment,)):
        hint = "Is it spelt right, and did its pings arrive? See /api/v1/values?dimension=experiment_id."
        raise NotFound("unknown_experiment", f"There is no data of {query.experiment[:80]!r}.", hint)
    made: dict[str, list[Item]] = {}
    for branch, window_us, total, hours in found:
        window = datetime.fromtimestamp(window_us // 1_000_000, UTC)
        made.setdefault(branch, []).append((f"{window:%Y-%m-%dT%H:%M:%SZ}", float(total), float(hours)))
    return made


_ANY = "SELECT 1 FROM {relation} WHERE experiment_id = ? LIMIT 1"


def _seconds(name: str, text: str) -> int:
    """A number of seconds; up to the year 2200, so that every time that follows is one."""
    if not (
        text.isascii()
        and text.isdigit()
        and int(text[:12]) <= (_LATEST - _EPOCH).total_seconds()
        and len(text) <= 12
    ):
        raise BadRequest(
            f"bad_{name}", f"{name} must be a number of seconds, not {text[:40]!r}.", "As in 86400."
        )
    return int(text)
