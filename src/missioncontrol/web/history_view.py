"""Builds the history from facts: which days are made, older than the archive, missing, failed, and what to say of it.

Pure functions: what the lake and the runs say goes in, a `History` comes out. Knows no HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.telemetry.backfill_plan import CRASHES, Plan
from missioncontrol.web.history import AlsoMade, Day, History, Notice, State
from missioncontrol.web.history_runs import (
    Asked,
    Failure,
    asked_of,
    open_failures,
    run_rows,
    split_code,
)

if TYPE_CHECKING:
    from missioncontrol.state.runs import BuiltDay, Run

DAYS = 60
RUNS = 100
_NAMED_DAYS = 3
_OTHER_KINDS = "Its pings are of other kinds than crash_aggregates counts."
_HINTS = {
    "archive_incomplete": "A retry does not help: the rest came by `import aggregates`, or is archived no longer. "
    "`missioncontrol backfill --incomplete` replaces the day anyway."
}


class Archived(msgspec.Struct, frozen=True):
    """A day of the archive."""

    pings: int = 0
    size_bytes: int = 0
    last_received: datetime | None = None


class Facts(msgspec.Struct, frozen=True):
    """All that a history is built from."""

    now: datetime
    archiving: bool
    attempts: int
    """How often a scheduled run is tried by itself; 0: never."""
    archive: dict[date, Archived]
    rows: dict[date, int]
    """Rows of crash_aggregates by day."""
    built: dict[date, BuiltDay]
    """Of crash_aggregates."""
    runs: Sequence[Run]
    """The newest first."""
    also: Callable[[date, date], Sequence[BuiltDay]]
    """Days of the other tables that were built from one day to another."""


def build_history(facts: Facts, before: date | None = None) -> History:
    """The history as of `facts.now`, with the newest days before `before`."""
    asked = asked_of(facts.runs)
    known = sorted({*facts.archive, *facts.rows, *facts.built}, reverse=True)
    below = [day for day in known if before is None or day < before]
    shown = below[:DAYS]
    also = _also(facts.also(shown[-1], shown[0])) if shown else {}
    past = [day for day in known if day < facts.now.date() and day in facts.archive]
    days = {day: _day(day, facts, asked, also.get(day, ())) for day in {*shown, *_unmade(past, facts)}}
    states = {day: days[day].state if day in days else "made" for day in past}
    until = _made_until(states)
    return History(
        now=facts.now,
        archiving=facts.archiving,
        archived_days=len(facts.archive),
        archived_pings=sum(a.pings for a in facts.archive.values()),
        archived_bytes=sum(a.size_bytes for a in facts.archive.values()),
        made_until=until,
        notices=tuple(_notices(facts, asked, states, until)),
        days=tuple(days[day] for day in shown),
        days_total=len(known),
        older=shown[-1] if len(below) > len(shown) else None,
        newer=len(below) < len(known),
        runs=run_rows(facts.runs[:RUNS]),
    )


def _unmade(past: Sequence[date], facts: Facts) -> list[date]:
    """Days of which more must be known than that they are made."""
    return [
        day
        for day in past
        if (day not in facts.built and not facts.rows.get(day))
        or (day in facts.built and facts.archive[day].pings > facts.built[day].pings)
    ]


def _made_until(states: dict[date, State]) -> date | None:
    until = None
    for day in sorted(states):
        if states[day] not in ("made", "older", "nothing"):
            break
        until = day
    return until


# ---- one day


def _day(day: date, facts: Facts, asked: Sequence[Asked], also: tuple[AlsoMade, ...]) -> Day:
    archived, built = facts.archive.get(day, Archived()), facts.built.get(day)
    rows = facts.rows.get(day)
    state, note = _state(day, archived, built, rows, asked, facts.now)
    return Day(
        day=day,
        state=state,
        note=note,
        pings=archived.pings,
        size_bytes=archived.size_bytes,
        rows=rows if rows is not None or built is None or built.rows else 0,
        made_at=built.built_at if built else None,
        duration_s=built.duration_s if built else None,
        rules=built.rules if built else None,
        run_id=built.run_id if built else None,
        also=also,
    )


def _state(
    day: date,
    archived: Archived,
    built: BuiltDay | None,
    rows: int | None,
    asked: Sequence[Asked],
    now: datetime,
) -> tuple[State, str]:
    last = _last_run(day, built, asked)
    if last is not None and last.pending:
        return ("running", "") if last.run.status == "running" else ("waiting", "")
    if last is not None and last.fails(day):
        return "failed", _why(last, day) + (" What was made before stands." if built or rows else "")
    if day >= now.date():
        return "arriving", "The day is not over."
    if built is not None:
        return _since(archived, built, rows)
    if rows:
        return "made", "When is not noted."
    if last is None or (archived.last_received and archived.last_received > last.begun):
        return "missing", ""
    return "nothing", _OTHER_KINDS


def _since(archived: Archived, built: BuiltDay, rows: int | None) -> tuple[State, str]:
    """What became of a day since it was made: pings came, or retention took something away."""
    grown = archived.pings - built.pings
    if grown > 0:
        return "older", f"{grown:,} pings came since."
    if not rows:
        return ("made", "Its rows are kept no longer.") if built.rows else ("nothing", _OTHER_KINDS)
    if grown == 0:
        return "made", ""
    kept = f"only {archived.pings:,} of them" if archived.pings else "none of them"
    return "made", f"Of {built.pings:,} pings; the archive holds {kept} now."


def _last_run(day: date, built: BuiltDay | None, asked: Sequence[Asked]) -> Asked | None:
    """The newest run that was to make the day and says more of it than that it is made."""
    one = Plan((CRASHES,), day, day)
    for each in asked:
        if not each.covers(one) or not (each.pending or each.failed or each.makes(day)):
            continue
        noted = built is not None and (built.run_id == each.run.id or built.built_at >= each.begun)
        if noted and each.run.status != "waiting" and day not in each.named:
            return None
        return each
    return None


def _why(asked: Asked, day: date) -> str:
    if asked.run.status == "stopped":
        return "It was stopped before it was done."
    return split_code(asked.named.get(day, asked.run.message))[1]


def _also(built: Sequence[BuiltDay]) -> dict[date, tuple[AlsoMade, ...]]:
    """By day: tables made at once together, the newest first; one without rows was left as it was."""
    groups: dict[date, dict[datetime, list[str]]] = {}
    for each in built:
        if each.table_name != CRASHES and each.rows:
            groups.setdefault(each.day, {}).setdefault(each.built_at, []).append(each.table_name)
    return {
        day: tuple(AlsoMade(tuple(tables), at) for at, tables in sorted(found.items(), reverse=True))
        for day, found in groups.items()
    }


# ---- what is to be said of the whole


def _notices(
    facts: Facts, asked: Sequence[Asked], states: dict[date, State], until: date | None
) -> list[Notice]:
    failures = open_failures(asked, facts.now)
    found = [_failure(failure, facts.attempts) for failure in failures]
    found += [_busy(each) for each in asked if each.pending]
    missing = sorted(day for day, state in states.items() if state == "missing")
    if missing:
        found.append(_todo(f"{_days(missing)} {_are(missing)} not made yet.", missing))
    older = sorted(day for day, state in states.items() if state == "older")
    if older:
        found.append(_todo(f"Pings of {_days(older)} came after the day was made.", older))
    if not facts.archive or not states:
        return found
    if until == max(states):
        found.append(Notice("fine", f"All archived days up to {until} are made."))
    elif until is not None:
        found.append(
            Notice("fine", f"All archived days up to {until} are made; later ones are not complete.")
        )
    return found


def _failure(failure: Failure, attempts: int) -> Notice:
    run, plan = failure.asked.run, failure.asked.plan
    day = failure.days[0] if failure.days else plan.first
    code, why = split_code(failure.asked.named.get(day, run.message))
    tables = Plan(plan.tables, day, day).words.partition(" of ")[0]
    what = f"{tables} of {_days(failure.days)}" if failure.days else plan.words
    if run.status == "stopped":
        text, why = f"{what} was stopped before it was done.", ""
    else:
        times = {1: "", 2: " twice"}.get(failure.times, f" {failure.times} times")
        text = f"{what} failed{times}."
    if failure.pending is not None:
        return Notice("failed", text, _sentences(why, f"Run {failure.pending} makes it again."))
    again = run.origin == "schedule" and run.status == "failed" and run.attempts < attempts
    detail = _sentences(why, _HINTS.get(code, ""), "It is tried again by itself." if again else "")
    return Notice("failed", text, detail, retry=run.id)


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _busy(asked: Asked) -> Notice:
    doing = "is being made" if asked.run.status == "running" else "waits to be made"
    return Notice("busy", f"{asked.plan.words} {doing} (run {asked.run.id}).")


def _todo(text: str, days: Sequence[date]) -> Notice:
    return Notice("todo", text, first=days[0], last=days[-1])


def _days(days: Sequence[date]) -> str:
    """`2026-11-24`, `2026-11-22 and 2026-11-24`, `2026-11-01, 2026-11-03, 2026-11-04 and 9 more days`."""
    if len(days) > 1 and (days[-1] - days[0]).days == len(days) - 1 and len(days) > _NAMED_DAYS:
        return f"{days[0]} to {days[-1]}"
    names = [str(day) for day in days[:_NAMED_DAYS]]
    more = len(days) - len(names)
    if more:
        return f"{', '.join(names)} and {more} more day{'s' if more > 1 else ''}"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _are(days: Sequence[date]) -> str:
    return "are" if len(days) > 1 else "is"
