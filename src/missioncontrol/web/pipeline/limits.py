"""From which values on the pipeline page marks something, and why from there. Pure.

One list: the page shows it as a table, and every mark is made by it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from missioncontrol.web.numerals import amount, percent, seconds, size

State = Literal["ok", "warn", "bad", "idle", "unknown"]
WORDS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "Fine"),
    "warn": ("!", "Look at it"),
    "bad": ("✕", "Broken"),
    "idle": ("·", "Idle"),
    "unknown": ("?", "Not known"),
}
"""Sign and word of each state: colour is never the only sign."""
_ORDER: tuple[State, ...] = ("bad", "warn", "unknown", "ok", "idle")
Unit = Literal["s", "share", "bytes", "days", "count"]


class Limit(msgspec.Struct, frozen=True):
    """When something is marked: from `warn` on, and from `bad` on; None: never so."""

    name: str
    title: str
    unit: Unit
    warn: float | None
    bad: float | None
    why: str
    below: bool = False
    """Marked when the value falls to the limit, not when it rises to it."""

    def state(self, value: float | None) -> State:
        """The state of a value; `unknown` when there is none."""
        if value is None:
            return "unknown"
        for state, limit in (("bad", self.bad), ("warn", self.warn)):
            if limit is not None and (value <= limit if self.below else value >= limit):
                return "bad" if state == "bad" else "warn"
        return "ok"

    def shown(self, value: float | None) -> str:
        """A value in its unit."""
        return in_unit(value, self.unit)


def in_unit(value: float | None, unit: Unit) -> str:
    """A length of time, a share as percent, bytes as a size, a number of days, or a plain number."""
    if unit == "s":
        return lasting(value)
    if unit == "share":
        return percent(value).removesuffix(" %").removesuffix(".0") + " %"
    if unit == "bytes":
        return size(None if value is None else int(value))
    return f"{amount(value)} days" if unit == "days" else amount(value)


def lasting(duration_s: float | None) -> str:
    """`0.42 s`, `90 s`, `5 min`, `3 h`, `4 days`."""
    if duration_s is None or duration_s < 120:
        return seconds(duration_s)
    for unit, length_s, most in (("min", 60, 120), ("h", 3600, 48)):
        if duration_s < most * length_s:
            return f"{duration_s / length_s:.0f} {unit}"
    return f"{duration_s / 86400:,.0f} days"


LIMITS = (
    Limit("lag", "Receipt to visible, 99 %", "s", 60, 300,
          "Windows are five minutes long: beyond that the newest window is judged without a part of its pings."),
    Limit("backlog_age", "Oldest record that waits in the log", "s", 60, 300,
          "The same: what waits longer is missing in a window that is over."),
    Limit("discarded", "Share of the submissions of the last hour that were discarded", "share", 0.05, 0.25,
          "A few broken senders are usual. A quarter means that a whole kind of client is not counted. "
          "Not looked at below 20 submissions."),
    Limit("turned_away", "Submissions of the last hour refused for lack of room", "count", None, 1,
          "The client did nothing wrong, and what it sent may be lost."),
    Limit("crash_backlog", "Crash reports that wait, of the most that may", "share", 0.5, 0.9,
          "At 100 % further reports are refused (`ingest.crash_backlog_max`)."),
    Limit("crash_age", "Crash that waits longest", "s", 600, 3600,
          "Crashes explain verdicts, which come every five minutes; an hour is twelve of them."),
    Limit("set_aside", "Crashes set aside in the last 24 hours", "count", 1, 100,
          "They failed again and again and are not counted; many mean that it is not the single dump."),
    Limit("judged_age", "Age of the newest window that was judged", "s", 900, 3600,
          "Looks come every five minutes: three were missed, or an hour of them."),
    Limit("judging_failed", "Measures that could not be judged in the newest turn", "count", 1, None,
          "Their verdicts stand as they were; the others are right."),
    Limit("alerts_failed", "Alerts of the last 24 hours that were not delivered", "count", 1, None,
          "Somebody was to be told of a change and was not."),
    Limit("jobs_failed", "Runs that failed and whose work was not done since", "count", 1, None,
          "Days of crash_aggregates are missing or older than the archive."),
    Limit("days_due", "Days that are over and not made", "count", 2, None,
          "One is made each night; two mean that a night was missed. After `jobs.lookback_days` they stay so."),
    Limit("free", "Free space", "bytes", 5e9, 5e8,
          "Below about 0.3 GB crash reports are refused, below 16 MB pings too; compaction needs room as well.",
          below=True),
    Limit("lasts", "The disk lasts at the present growth", "days", 14, 3,
          "Two weeks are time to buy a disk or to shorten `retention`; three days are a weekend.", below=True),
    Limit("silent", "Silence of a process that says every ten seconds that it is there", "s", 60, 600,
          "It hangs, its machine sleeps, or it can write no file."),
    Limit("clock", "What was received in the future", "s", 60, 3600,
          "The clock went back: ages of releases are wrong until it has caught up."),
)  # fmt: skip
BY_NAME = {limit.name: limit for limit in LIMITS}


def worst(states: list[State]) -> State:
    """The one that needs most attention; `ok` when there is none."""
    return min(states, key=_ORDER.index, default="ok")
