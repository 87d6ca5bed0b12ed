"""How the numbers of a card were computed.

Takes the card and what is known of the versions of its channel; knows no HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from missioncontrol.state.release_model import Version
from missioncontrol.web.home.cards import REPORTS, Card
from missioncontrol.web.home.numbers import DAYS_SHOWN
from missioncontrol.web.numerals import amount, percent, percents, rate
from missioncontrol.web.reckoning import (
    MOST_OTHERS,
    Reckoning,
    Rows,
    crash_free_query,
    rate_query,
    rows_of,
    share_query,
    sum_query,
)


def rate_of(card: Card, versions: Sequence[Version]) -> Reckoning | None:
    """Of the rate under the picture; None where there is none."""
    if card.rate is None or card.reports:
        return None
    rows = _rows(card, versions, card.counted)
    before, inputs = [], []
    if card.before is not None and card.counted_before:
        same_age = f"{card.before} at the same age"
        others = _rows(card, versions, card.counted_before, card.before)
        before = [(same_age, rate(card.rate_before))]
        inputs = [(same_age, rate_query(card.measure, "usage_hours", others))]
    return Reckoning(
        f"{_name(card)}: {card.measure_title} per 1,000 usage hours",
        f"1,000 × {card.measure_title.lower()} ÷ usage hours = {rate(card.rate)}",
        [
            (card.measure_title, amount(card.crashes)),
            ("Usage hours", amount(round(card.hours))),
            rows_of("sums of 5 minutes", rows.start, rows.end),
            *before,
        ],
        rate_query(card.measure, "usage_hours", rows),
        inputs=inputs,
    )


def lately_of(card: Card, versions: Sequence[Version]) -> Reckoning | None:
    """Of the rate of the last day; None where the rate under the picture has that day in it, or there is none."""
    if card.span != "first" or card.rate_day is None or card.reports:
        return None
    rows = _rows(card, versions, _day(card))
    return Reckoning(
        f"{_name(card)}: {card.measure_title} of the last day",
        f"1,000 × {card.measure_title.lower()} ÷ usage hours = {rate(card.rate_day)}",
        [
            (card.measure_title, amount(card.crashes_day)),
            ("Usage hours", amount(round(card.hours_day))),
            rows_of("sums of 5 minutes", rows.start, rows.end),
        ],
        rate_query(card.measure, "usage_hours", rows),
    )


def share_of(card: Card, versions: Sequence[Version]) -> Reckoning | None:
    """Of the share of the usage; None where there is none."""
    if card.share is None or card.reports:
        return None
    rows = _rows(card, versions, _day(card))
    return Reckoning(
        f"{_name(card)}: share of the usage",
        f"Usage hours of the version ÷ usage hours of all versions on this platform = {percent(card.share)}",
        [
            ("All versions", f"{amount(round(card.usage_hours_day))} h"),
            rows_of("sums of 5 minutes", rows.start, rows.end),
        ],
        share_query("usage_hours", rows),
    )


def usage_of(card: Card, versions: Sequence[Version]) -> Reckoning | None:
    """Of the usage of the version; None where nothing tells of usage."""
    if card.reports:
        return None
    rows = _rows(card, versions, (card.day_end - timedelta(days=DAYS_SHOWN), card.day_end))
    return _sum(f"{_name(card)}: usage in the field", "usage hours", card.usage_hours, "usage_hours", rows)


def usage_day_of(card: Card) -> Reckoning | None:
    """Of the usage of all versions; None where nothing tells of usage."""
    if card.reports:
        return None
    of = f"{_place(card)}: usage of all versions"
    return _sum(of, "usage hours", card.usage_hours_day, "usage_hours", _whole_day(card))


def reports_day_of(card: Card) -> Reckoning:
    """Of the crash reports of all versions."""
    of = f"{_place(card)}: crash reports of all versions"
    return _sum(of, "crash reports", card.reports_day, REPORTS, _whole_day(card))


def _sum(of: str, what: str, value: float, measure: str, rows: Rows) -> Reckoning:
    return Reckoning(
        of,
        f"Sum of {what} = {amount(round(value))}",
        [rows_of("sums of 5 minutes", rows.start, rows.end)],
        sum_query(measure, rows),
    )


def _whole_day(card: Card) -> Rows:
    return Rows(card.application, card.channel, None, *_day(card), card.platform, every_version=True)


def crash_free_of(card: Card, versions: Sequence[Version]) -> Reckoning | None:
    """Of the crash-free users; None where nothing tells of clients."""
    free = card.crash_free
    if free is None or free.end is None:
        return None
    rows = _rows(card, versions, (free.end - timedelta(hours=24), free.end))
    bounds = percents(free.low, free.high)
    return Reckoning(
        f"{_name(card)}: crash-free users",
        f"1 − clients with a main crash ÷ all clients = {percent(free.share)}",
        [
            ("Clients", f"about {amount(round(free.clients))}"),
            *([("Bounds of the estimate", bounds)] if bounds else []),
            rows_of("sketches of an hour", rows.start, rows.end),
        ],
        crash_free_query(rows),
        "Clients are counted by sketches, so the number is an estimate.",
    )


def _place(card: Card) -> str:
    return f"{card.platform_title} {card.channel or ''}".strip()


def _name(card: Card) -> str:
    return f"{card.platform_title} {card.version or 'unknown'} {card.channel or ''}".strip()


def _day(card: Card) -> tuple[datetime, datetime]:
    return card.day_end - timedelta(hours=24), card.day_end


def _rows(
    card: Card, versions: Sequence[Version], span: tuple[datetime, datetime], before: str | None = None
) -> Rows:
    """Rows of the card's version, or of the one before."""
    version = card.version if before is None else before
    own = [one for one in versions if (one.application, one.channel) == (card.application, card.channel)]
    builds = tuple(b for one in own if one.version == version for b in one.build_ids if b)
    others = tuple(b for one in own if one.version != version for b in one.build_ids if b)
    named = (card.application, card.channel, version)
    return Rows(*named, *span, card.platform, builds, others[-MOST_OTHERS:])
