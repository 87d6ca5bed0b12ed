"""What the history says of the whole: what failed and what to do, what is under way, what is still to be made.

Pure functions: facts go in, sentences come out. Knows no HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from missioncontrol.registry.rules import DEFAULT_RULES
from missioncontrol.telemetry.backfill_plan import INCOMPLETE_CAUSE, Plan, incomplete_command, spans
from missioncontrol.web.history.facts import Facts
from missioncontrol.web.history.model import Notice, State
from missioncontrol.web.history.runs import Asked, Failure, open_failures, split_code

if TYPE_CHECKING:
    from missioncontrol.state.runs import BuiltDay

_NAMED_DAYS = 3
_COMMANDS = 5
_COMPARE = "Days under different rules are not comparable."


def notices(
    facts: Facts, asked: Sequence[Asked], states: Mapping[date, State], until: date | None
) -> list[Notice]:
    """The sentences, the most urgent first; `until`: all archived days up to this one are made."""
    found = [_failure(failure, facts.attempts) for failure in open_failures(asked, facts.now)]
    found += [_busy(each) for each in asked if each.pending]
    found += _missing(sorted(day for day, state in states.items() if state == "missing"), facts)
    older = sorted(day for day, state in states.items() if state == "older")
    if older:
        found.append(_todo(f"Pings of {named(older)} came after the day was made.", older))
    found += _mixed_rules(facts)
    if not facts.archive or not states:
        return found
    if until == max(states):
        found.append(Notice("fine", f"All archived days up to {until} are made."))
    elif until is not None:
        found.append(
            Notice("fine", f"All archived days up to {until} are made; later ones are not complete.")
        )
    return found


def usual_rules(built: Iterable[BuiltDay]) -> str | None:
    """The rule set that most of these days were made under; None when there are none."""
    counts = Counter(day.rules for day in built if day.rows)
    return max(counts, key=lambda rules: (counts[rules], rules == DEFAULT_RULES)) if counts else None


def named(days: Sequence[date]) -> str:
    """`2026-11-24`, `2026-11-22 and 2026-11-24`, `2026-11-01, 2026-11-03, 2026-11-04 and 9 more days`."""
    if len(days) >= _NAMED_DAYS and (days[-1] - days[0]).days == len(days) - 1:
        return f"{days[0]} to {days[-1]}"
    names = [str(day) for day in days[:_NAMED_DAYS]]
    more = len(days) - len(names)
    if more:
        return f"{', '.join(names)} and {more:,} more day{'s' if more > 1 else ''}"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _failure(failure: Failure, attempts: int) -> Notice:
    run, plan = failure.asked.run, failure.asked.plan
    day = failure.days[0] if failure.days else plan.first
    why = split_code(failure.asked.named.get(day, run.message))[1]
    tables = Plan(plan.tables, day, day).words.partition(" of ")[0]
    what = f"{tables} of {named(failure.days)}" if failure.days else plan.words
    if run.status == "stopped":
        text, why = f"{what} was stopped before it was done.", ""
    else:
        times = {1: "", 2: " twice"}.get(failure.times, f" {failure.times} times")
        text = f"{what} failed{times}."
    if failure.pending is not None:
        return Notice("failed", text, _sentences(why, "It is being made again."), run=failure.pending)
    if failure.too_little:
        stays = "what was made before stands, and trying again does not help."
        text = f"{what} cannot be made again: {stays}"
        return Notice(
            "failed", text, _sentences(why, INCOMPLETE_CAUSE), run=run.id, leave=run.id,
            command=_incomplete_commands(plan, failure.days), first=failure.days[0], last=failure.days[-1],
        )  # fmt: skip
    tried = run.origin == "schedule" and run.status == "failed" and run.attempts < attempts
    detail = _sentences(why, "It is tried again by itself." if tried else "")
    return Notice("failed", text, detail, run=run.id, retry=run.id)


def _incomplete_commands(plan: Plan, days: Sequence[date]) -> str:
    """The commands that replace exactly these days, or the first of them where there are many."""
    return "\n".join(incomplete_command(plan, first, last) for first, last in spans(days)[:_COMMANDS])


def _busy(asked: Asked) -> Notice:
    run = asked.run
    if run.status == "waiting":
        return Notice("busy", f"{asked.plan.words} waits to be made.", run=run.id)
    far = f": {run.made:,} of {run.days:,} days" if run.days and run.days > 1 else ""
    return Notice("busy", f"{asked.plan.words} is being made{far}.", run=run.id)


def _missing(days: Sequence[date], facts: Facts) -> list[Notice]:
    """Days that the daily batch makes by itself, and those that it does not."""
    if not facts.attempts:
        text = f"{named(days)} {_are(days)} not made yet, and the daily batch is off." if days else ""
        return [_todo(text, days)] if days else []
    begins = facts.now.date() - timedelta(days=facts.lookback_days)
    soon, old = [day for day in days if day >= begins], [day for day in days if day < begins]
    found = [Notice("next", f"{named(soon)} {_are(soon)} made next.")] if soon else []
    limit = f"more than {facts.lookback_days} day{'s' * (facts.lookback_days != 1)} old"
    if len(old) == 1:
        found.append(_todo(f"{named(old)} is not made by itself, as it is {limit}.", old))
    elif old:
        older = "older days" if soon else "days"
        text = f"{len(old):,} {older} ({named(old)}) are not made by themselves, as they are {limit}."
        found.append(_todo(text, old))
    return found


def _mixed_rules(facts: Facts) -> list[Notice]:
    """For each rule set that fewer days were made under: which days these are."""
    usual = usual_rules(facts.built.values())
    made = {day: built.rules for day, built in facts.built.items() if built.rows}
    found = []
    for rules in sorted(set(made.values()) - {usual or DEFAULT_RULES}):
        days = sorted(day for day in made if made[day] == rules)
        rest = len(made) - len(days)
        others = "the other one" if rest == 1 else f"the other {rest:,}"
        others = others if len(set(made.values())) == 2 else "most others"
        were = "were" if len(days) > 1 else "was"
        text = f"{named(days)} {were} made under the rules {rules}, {others} under {usual}. {_COMPARE}"
        archived = [day for day in days if day in facts.archive]
        first, last = (archived[0], archived[-1]) if archived else (None, None)
        found.append(Notice("rules", text, first=first, last=last, rules=usual or ""))
    return found


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _todo(text: str, days: Sequence[date]) -> Notice:
    return Notice("todo", text, first=days[0], last=days[-1])


def _are(days: Sequence[date]) -> str:
    return "are" if len(days) > 1 else "is"
