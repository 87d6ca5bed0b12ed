"""Which signatures explain that a version crashes more than others did at the same age.

Observed crashes of a version by signature, against what the others had in the same hours of age, scaled by how much
usage each has seen. Reads crash_signature_counts, whose rows are hours: an age range is cut to whole hours.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter

TABLE = "crash_signature_counts"


class Stretch(msgspec.Struct, frozen=True):
    """Some hours in the life of a version, or of one build of it."""

    version: str
    start: datetime
    """Cut to the hour."""
    end: datetime
    """Up to the hour before."""
    exposure: float = 0.0
    """What rates are measured by (usage hours); 0: not known."""
    build_id: str | None = None
    """Only this build; None: all of the version."""


class SignatureCount(msgspec.Struct, frozen=True):
    """The crashes of one signature in a stretch; `stretch` is its place in the question."""

    stretch: int
    signature: str | None
    reports: int
    crashes: float


class SignatureExcess(msgspec.Struct, frozen=True):
    """A signature of the version in question."""

    signature: str | None
    """None: the report has none."""
    reports: int
    """Reports that were kept, of the version."""
    observed: float
    """Crashes of the version."""
    expected: float
    """Crashes that it would have if it crashed as the others did."""

    @property
    def excess(self) -> float:
        """Crashes too many; negative: too few."""
        return self.observed - self.expected


def signature_counts(
    engine: Engine,
    application: str,
    channel: str | None,
    stretches: Sequence[Stretch],
    process_types: Collection[str] = (),
) -> list[SignatureCount]:
    """Crashes by stretch and signature, in one query; a signature without crashes in a stretch has no row.

    `channel` None: all channels; no `process_types`: all processes. Raises `TooSlow`, `BadRequest` (`query_memory`)
    and `StorageError`.
    """
    if not stretches:
        return []
    parameters: list[Parameter] = []
    parts = []
    for number, stretch in enumerate(stretches):
        sql, values = _part(number, stretch, application, channel, process_types)
        parts.append(sql)
        parameters += values
    rows = engine.over(TABLE, " UNION ALL ".join(parts), parameters, _span(stretches))
    return [SignatureCount(*row) for row in rows]


def signature_excess(counts: Sequence[SignatureCount], stretches: Sequence[Stretch]) -> list[SignatureExcess]:
    """The signatures of the first stretch against all others, the largest excess first.

    Expected is `crashes of the others * exposure / exposure of the others`. Where exposures are not known (a product
    without pings) it is the version's own total, split as the others' crashes are: then the excesses add up to 0, and
    say which signatures grew in share. Without others nothing is expected.
    """
    observed = {c.signature: c for c in counts if c.stretch == 0}
    others: dict[str | None, float] = {}
    for count in counts:
        if count.stretch:
            others[count.signature] = others.get(count.signature, 0.0) + count.crashes
    scale = _scale(stretches, sum(c.crashes for c in observed.values()), sum(others.values()))
    found = [
        SignatureExcess(
            signature,
            observed[signature].reports if signature in observed else 0,
            observed[signature].crashes if signature in observed else 0.0,
            others.get(signature, 0.0) * scale,
        )
        for signature in dict.fromkeys([*observed, *others])
    ]
    return sorted(found, key=lambda one: (-one.excess, one.signature or ""))


def _scale(stretches: Sequence[Stretch], total: float, others: float) -> float:
    rest = sum(s.exposure for s in stretches[1:])
    if stretches and stretches[0].exposure and all(s.exposure for s in stretches[1:]) and rest:
        return stretches[0].exposure / rest
    return total / others if others else 0.0


def _part(
    number: int, stretch: Stretch, application: str, channel: str | None, process_types: Collection[str]
) -> tuple[str, list[Parameter]]:
    conditions = ["application = ?", "version = ?", "window_start >= ?", "window_start < ?"]
    values: list[Parameter] = [application, stretch.version, _hour(stretch.start), _hour(stretch.end)]
    for column, value in (("channel", channel), ("build_id", stretch.build_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if process_types:
        conditions.append(f"process_type IN ({', '.join('?' * len(process_types))})")
        values += sorted(process_types)
    sql = (
        f"SELECT {number} AS stretch, signature, CAST(sum(reports) AS BIGINT) AS reports, sum(crashes) AS crashes "
        f"FROM {{relation}} WHERE {' AND '.join(conditions)} GROUP BY signature"
    )
    return sql, values


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _span(stretches: Sequence[Stretch]) -> Span:
    days: set[date] = set()
    for stretch in stretches:
        first, last = _hour(stretch.start).date(), _hour(stretch.end).date()
        days.update(first + timedelta(days=n) for n in range((last - first).days + 1))
    return Span(dates=tuple(sorted(days)))
