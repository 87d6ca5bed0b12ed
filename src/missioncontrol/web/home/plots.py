"""The two small pictures of a card, as paths in a box of 1000 x 1000, and what they show in words.

Both axes start at 0. A gap in the data is a gap in the picture.
"""

from __future__ import annotations

import msgspec

from missioncontrol.web.home.cards import SPANS, Card, Points, age_words
from missioncontrol.web.numerals import amount, percent, rate
from missioncontrol.web.verdicts.axes import BOX, Axis, area, line

_TOP = 0.04 * BOX
"""Room above, so that the line at the top is drawn whole."""


_HIGHEST = 3.0
"""The picture ends at so many times the rate over all: the first hours, with few users, would leave no room else."""


class Spark(msgspec.Struct, frozen=True):
    """A picture. `area` is filled, `line` drawn over it, `before` behind both; any may be empty."""

    says: str
    area: str = ""
    line: str = ""
    before: str = ""
    top: str = ""
    """The value at the upper end."""


def adoption_spark(card: Card) -> Spark:
    """The share of the version, from 0 to 100 %."""
    first = card.adoption[0][0] if card.adoption else 0
    points: Points = [(float(hour - first), share) for hour, share in card.adoption]
    length = points[-1][0] if points else 1.0
    x, y = _x(0.0, length), _y(1.0)
    what = "crash reports" if card.reports else "usage hours"
    return Spark(
        says=f"Share of the {what} over 14 days, now {percent(card.share)}",
        area=area(x, y, [(at, None if share is None else 0.0, share) for at, share in points]),
        line=line(x, y, points),
    )


def course_spark(card: Card) -> Spark:
    """Crashes by age, with the predecessor behind."""
    both = [value for _, value in (*card.course, *card.course_before) if value is not None]
    if not both or len(card.course) < 2:
        return Spark(says="Too little for a picture.")
    usual = 0.0 if card.reports else max(card.rate or 0.0, card.rate_before or 0.0)
    most = min(max(both), _HIGHEST * usual or max(both)) or 1.0
    cut = max(both) > most
    # Ages are middles of their intervals.
    x, y = _x(card.course[0][0], card.course[-1][0]), _y(most)
    unit = "an hour" if card.reports else "per 1,000 usage hours"
    since = SPANS[card.span]
    since += f" {age_words(card.age_hours)} ago" if card.span == "life" and card.age_hours else ""
    behind = f"; behind it {card.before} at the same age" if card.before else ""
    ends = "; higher points are cut off" if cut else ""
    return Spark(
        says=f"{card.measure_title} {unit} {since}, from 0 to {_value(card, most)}{behind}{ends}",
        line=line(x, y, card.course),
        before=line(x, y, card.course_before),
        top=f"{_value(card, most)}{', higher is cut off' if cut else ''}",
    )


def _value(card: Card, value: float) -> str:
    return amount(value) if card.reports else rate(value)


def _x(low: float, high: float) -> Axis:
    span = max(high - low, 1e-9)
    return Axis(low, high, lambda at: BOX * (at - low) / span, [])


def _y(most: float) -> Axis:
    return Axis(0.0, most, lambda value: BOX - (BOX - _TOP) * value / most, [])
