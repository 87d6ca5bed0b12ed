"""How the numbers of a verdict came about: what was seen by SQL, ratio and expectation in words.

Takes an account; asks nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from missioncontrol.health.model import Account
from missioncontrol.query import dialect
from missioncontrol.state.release_model import Version
from missioncontrol.web.numerals import amount
from missioncontrol.web.reckoning import Reckoning, rows_of
from missioncontrol.web.verdicts.words import times

_WINDOW_S = 300


def ratio_of(account: Account) -> Reckoning | None:
    """Of the ratio of everyone; None where there is none."""
    look = account.look
    if look.ratio is None:
        return None
    return Reckoning(
        "ratio",
        f"Seen ÷ expected = {times(look.ratio)}",
        [
            ("Seen", amount(look.observed)),
            ("Expected", amount(round(look.expected, 1))),
            ("95 % interval", f"{times(look.low)} to {times(look.high)}, at every look"),
        ],
        note=(
            "Expected is what predecessors with the same users had at the same age, for the usage hours so far and"
            " those that are still to arrive. The steps below go from the raw rate to this ratio."
        ),
    )


def seen_of(account: Account, title: str, release: Version | None) -> Reckoning | None:
    """Of what was seen. A verdict on one signature counts crash reports, and has none."""
    subject, look = account.subject, account.look
    if subject.signature or look.as_of <= account.published_at:
        return None
    start, end = _window(account.published_at), _window(look.as_of)
    builds = [build for build in release.build_ids if build] if release else []
    named = f"version = {dialect.text(subject.version)}"
    if builds:
        named = f"({named} OR build_id IN ({', '.join(dialect.text(build) for build in builds)}))"
    query = (
        f"SELECT sum({dialect.name(subject.measure)}) AS seen, count(*) AS \"rows\"\nFROM error_aggregates\n"
        f"WHERE channel = {dialect.text(subject.channel)}\n"
        f"  AND (application = {dialect.text(subject.application)} OR application IS NULL)\n  AND {named}\n"
        f"  AND window_start >= {dialect.instant(start)}\n  AND window_start < {dialect.instant(end)}"
    )  # fmt: skip
    return Reckoning(
        "seen",
        f"Sum of {title.lower()} from publication to the look = {amount(look.observed)}",
        [rows_of("sums of 5 minutes", start, end)],
        query,
        "Time in which data was lost is left out of the verdict, and not of the SQL.",
    )


def _window(instant: datetime) -> datetime:
    """Start of the window that a time is in."""
    seconds = int(instant.timestamp()) // _WINDOW_S * _WINDOW_S
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
