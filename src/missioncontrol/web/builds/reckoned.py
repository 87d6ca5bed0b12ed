"""How the numbers of build days were computed.

Takes the view; asks nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from missioncontrol.query import dialect
from missioncontrol.query.build_hours import LIFE
from missioncontrol.query.hour_sums import HOUR_S, hour_after
from missioncontrol.web.builds.view import BuildsView
from missioncontrol.web.numerals import amount
from missioncontrol.web.reckoning import (
    Reckoning,
    Sums,
    between,
    grouped_query,
    place_conditions,
    platform_sql,
    rows_of,
)

_DOC = "/docs/reference/pages#builds-day-by-day"
_MADE = (
    "try_strptime(CASE WHEN length(build_id) >= 10 THEN left(build_id, 10) ELSE left(build_id, 8) || '00' END, "
    "'%Y%m%d%H') AT TIME ZONE 'UTC'"
)
"""When a build was made by its id."""
_DAY = "strftime(made AT TIME ZONE 'UTC', '%Y-%m-%d')"


def rates_of(view: BuildsView) -> Reckoning | None:
    """Of rate, count and usage of every day; None where there are none."""
    if view.end is None or not view.days:
        return None
    first, title = _midnight(view.days[-1].day), view.measure.title.lower()
    days = [("day", _DAY)]
    return Reckoning(
        "rates by build day",
        f"1,000 × {title} ÷ {view.per_title}, of the builds of the day in the {LIFE.days} days after each was made",
        [
            ("Interval", "95 %, at every look; bursts of crashes widen it"),
            rows_of("sums of 5 minutes", first, view.end),
        ],
        _query(view, days, view.days[-1].day, "1 DESC"),
        inputs=[
            (
                "Each build by SQL",
                _query(view, [*days, ("build_id", "build_id")], view.days[-1].day, "1 DESC, 2"),
            )
        ],
        doc=_DOC,
    )


def ratios_of(view: BuildsView) -> Reckoning | None:
    """Of the ratios to other days; None where there are none."""
    newest = next((row.of for row in view.days if row.of and row.of.before), None)
    if view.end is None or newest is None or newest.before is None or newest.before_day is None:
        return None
    before, age_s = newest.before, 3600
    ages = [
        ("day", _DAY),
        ("hour_of_age", f"(epoch_us(window_start) - epoch_us(made)) // {age_s * 1_000_000}"),
    ]
    return Reckoning(
        "ratios between build days",
        "Events per hour ÷ those of the day before (or of up to seven before that), hour of age by hour of age",
        [
            (str(newest.day), f"{amount(before.events)} in {amount(round(before.hours))} {view.per_title}"),
            (
                f"{newest.before_day}, same age",
                f"{amount(before.base_events)} in {amount(round(before.base_hours))} {view.per_title}",
            ),
            (
                "Interval",
                f"95 %, at every look, with ±{before.spread * 100:.0f} % that harmless days differ by",
            ),
        ],
        note="Hours of age that the younger build does not have yet are left out of the older.",
        inputs=[("Sums by hour of age by SQL", _query(view, ages, newest.before_day, "1 DESC, 2"))],
        doc=_DOC,
    )


def _query(view: BuildsView, by: list[tuple[str, str]], first: date, order: str) -> str:
    """The sums of the builds from the day `first` on, each of the week after it was made."""
    wanted = view.wanted
    end = datetime.fromtimestamp(hour_after(view.end or datetime.now(UTC)) * HOUR_S, UTC)
    conditions = place_conditions(wanted.application, wanted.channel)
    conditions += [f"build_id >= {dialect.text(f'{first:%Y%m%d}')}", *between(_midnight(first), end)]
    if wanted.platform:
        conditions.append(f"{platform_sql()} = {dialect.text(wanted.platform)}")
    made = f"(SELECT *, {_MADE} AS made FROM error_aggregates\n  WHERE {' AND '.join(conditions)})"
    within = ["window_start >= made", f"window_start < made + INTERVAL {LIFE.days} DAY"]
    return grouped_query(Sums(view.measure.name, view.measure.per), by, within, made, order)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
