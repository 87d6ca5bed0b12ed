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
_METHOD = "/docs/adr/0019-verdict-method"
_INTERVAL = (
    "All ratios than which a mixture of ratios is less than 50 times as likely, by all that was seen so far"
)
_EVERY_LOOK = "It holds at all looks at once, so it may be read at any time, and as often as one likes."


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


def expected_of(account: Account) -> Reckoning | None:
    """Of what was to be expected; None where nothing can be, and of one signature, which is expected otherwise."""
    look = account.look
    used = [one.version for one in account.predecessors if one.used]
    if look.ratio is None or not used or account.subject.signature:
        return None
    return Reckoning(
        "expected",
        "Rate of the predecessors at the same age × usage hours of this release, added up over values of its users = "
        f"{amount(round(look.expected, 1))}",
        [("Predecessors", ", ".join(used[:-4:-1]) + (f" and {len(used) - 3} more" if len(used) > 3 else ""))],
        note=(
            "Hours that are still to arrive are reckoned with. It is a model's number, so no query gives it; the"
            " predecessors are listed below."
        ),
        doc=_METHOD,
    )


def interval_of(account: Account) -> Reckoning | None:
    """Of the interval of the ratio of everyone; None where there is none."""
    look = account.look
    if look.ratio is None:
        return None
    return Reckoning(
        "95 % interval",
        _INTERVAL,
        [
            ("Interval", f"{times(look.low)} to {times(look.high)}"),
            ("Looks since", f"{account.published_at:%Y-%m-%d}"),
        ],
        note=_EVERY_LOOK,
        doc=_METHOD,
    )


def listed_of() -> list[Reckoning]:
    """Of the columns ratio, interval and evidence of a list of verdicts, in this order."""
    own = "Each row leads to its verdict, which has its numbers, their SQL, and what was expected of whom."
    return [
        Reckoning(
            "ratios",
            "Events seen ÷ events expected, of the users for whom it is worse, else of everyone",
            [],
            note=own,
            doc=_METHOD,
        ),
        Reckoning(
            "95 % intervals",
            _INTERVAL,
            [],
            note=f"{_EVERY_LOOK} {own}",
            doc=_METHOD,
        ),
        Reckoning(
            "evidence",
            "Likelihood of what was seen under a mixture of ratios that are worse by 5 % and more ÷ the highest under"
            " those that are not worse",
            [("Alarm", "from 100 on, which at most 1 of 100 releases with nothing wrong ever reach")],
            note=own,
            doc=_METHOD,
        ),
    ]


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
