"""How good the data of a verdict is, as a strip of figures; what is out of the ordinary is marked and says why."""

from __future__ import annotations

from datetime import datetime

import msgspec

from missioncontrol.health.model import Account
from missioncontrol.query.uncounted import Uncounted
from missioncontrol.web.numerals import NOTHING, amount, percent
from missioncontrol.web.verdicts.words import length, times

_FEWEST = 6
"""Predecessors with which every ratio can be called; `verdict.baseline` says so, and needs numpy."""
_SEEN_LEAST = 0.75
_IMPUTED_MOST = 0.01
_COMPLETE_LEAST = 0.5
_ENVIRONMENT_MOST = 0.10
_SPREAD_MOST = 0.25
_DROPPED_MOST = 0.10
_YOUNG_HOURS = 12.0
_OLD_HOURS = 1.0


class Figure(msgspec.Struct, frozen=True):
    """One figure; `odd`: it makes the verdict less sure."""

    name: str
    value: str
    note: str
    odd: bool = False
    href: str = ""
    """Where more of it is."""


def figures(account: Account, now: datetime | None, dropped: Uncounted | None = None) -> list[Figure]:
    """The strip, from left to right; `now` is None where it is shown as it was known then."""
    data, look = account.data, account.look
    used = sum(1 for one in account.predecessors if one.used)
    left = len(account.predecessors) - used
    lag: list[Figure] = []
    if now is not None:
        old = max((now - look.as_of).total_seconds() / 3600, 0.0)
        lag = [Figure("Age of this look", length(old), "looks come every five minutes", old > _OLD_HOURS)]
    moved = abs(data.environment - 1)
    return [
        Figure(
            "Usage hours arrived",
            percent(data.completeness),
            "of the hours used so far; the rest is estimated from predecessors",
            data.completeness < _COMPLETE_LEAST and look.age_hours > _YOUNG_HOURS,
        ),
        Figure(
            "Stand for lost pings",
            percent(data.imputed),
            "of the hours",
            data.imputed > _IMPUTED_MOST,
        ),
        Figure(
            "Pings of the last half hour",
            NOTHING if data.seen is None else percent(data.seen),
            "of those a week before, at this time",
            data.seen is not None and data.seen < _SEEN_LEAST,
        ),
        *([_uncounted(account, dropped)] if dropped else []),
        Figure(
            "All versions moved",
            times(data.environment),
            "taken out of the ratio",
            moved > _ENVIRONMENT_MOST,
        ),
        Figure(
            "Harmless releases differ",
            f"±{data.spread * 100:.0f} %",
            f"at this age; crashes come in bursts of {data.dispersion:.1f}",
            data.spread > _SPREAD_MOST,
        ),
        Figure(
            "Compared with",
            f"{used} release{'s' if used != 1 else ''}",
            f"{left} left out" if left else "none left out",
            used < _FEWEST,
        ),
        *lag,
    ]


def _uncounted(account: Account, dropped: Uncounted) -> Figure:
    of, share = account.subject, dropped.share
    if dropped.of_channel is None:
        value, note = (
            amount(dropped.anywhere),
            "of any application since it was published, those refused included",
        )
    else:
        part = f" ({percent(share)})" if share is not None else ""
        value = amount(dropped.of_channel)
        note = (
            f"of {of.application} {of.channel} since it was published{part}; {amount(dropped.of_version)} of this "
            f"version; {amount(dropped.anywhere)} of any application, those refused included"
        )
    return Figure(
        "Pings not counted", value, note, share is not None and share > _DROPPED_MOST, "/pipeline#discards"
    )
