"""Builds the history from facts: which days are made, older than the archive, missing, failed, and what to say of it.

Pure functions: what the lake and the runs say goes in, a `History` comes out. Knows no HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from missioncontrol.telemetry.backfill_plan import CRASHES, Plan
from missioncontrol.web.history.facts import Archived, Facts
from missioncontrol.web.history.model import AlsoMade, Day, History, State
from missioncontrol.web.history.notices import notices, usual_rules
from missioncontrol.web.history.runs import Asked, asked_of, run_rows, split_code

if TYPE_CHECKING:
    from missioncontrol.state.runs import BuiltDay

DAYS = 60
RUNS = 100
_OTHER_KINDS = "Its pings are of other kinds than crash_aggregates counts."


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
        notices=tuple(notices(facts, asked, states, until)),
        days=tuple(days[day] for day in shown),
        days_total=len(known),
        older=shown[-1] if len(below) > len(shown) else None,
        newer=len(below) < len(known),
        runs=run_rows(facts.runs[:RUNS]),
        rules=usual_rules(facts.built.values()),
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
        if not each.covers(one) or not (each.pending or each.fails(day) or each.makes(day)):
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
