"""The verdict as a sentence for a release manager: plain words, and no digit that is not meant."""

from __future__ import annotations

import math

import msgspec

from missioncontrol.health.crossing import doubted, now_of
from missioncontrol.health.model import Account, Look

_WITHIN = 1.2
_WIDE = 1.5
_DAY_HOURS = 24.0
_SIGNATURES, _LONGEST = 2, 80


def sentence(account: Account, measure: str, worse: str = "up") -> str:
    """One sentence on a look. measure: the measure's title; worse: its bad direction, `up` or `down`."""
    look = account.look
    down = worse == "down"
    said = _SAID[look.verdict](account, look)
    way = "; less of it is worse" if down and look.verdict in _OF_A_DIRECTION else ""
    return f"{account.subject.version} {_lower(measure)}: {said}{way}{_doubts(account, look, down)}."


def times(ratio: float, low: float | None = None, high: float | None = None) -> str:
    """A ratio in words; with a wide interval around it one decimal is all that is known."""
    wide = low is None or high is None or high > low * _WIDE
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}" if wide else f"{ratio:.2f}"


def span(hours: float) -> str:
    """A time in words: minutes, hours or days."""
    if hours < 1:
        return _many(round(hours * 60), "minute")
    if hours < 2 * _DAY_HOURS:
        return _many(round(hours), "hour")
    return _many(round(hours / _DAY_HOURS), "day")


def users(where: dict[str, str] | None) -> str:
    """Some users in words: `Linux`, `Windows_NT 6.1 on x86`, `Linux with gpu_vendor 0x10de`; or everyone."""
    if not where:
        return "everyone"
    system = " ".join(where[name] for name in ("os_name", "os_version") if name in where)
    machine = where.get("architecture", "")
    country = where.get("country", "")
    first = " on ".join(part for part in (system, machine) if part)
    others = " and ".join(f"{name} {_plain(value)}" for name, value in where.items() if name not in _NAMED)
    known = ", ".join(part for part in (first, f"in {country}" if country else "") if part)
    return " with ".join(part for part in (known, others) if part)


def _plain(value: str) -> str:
    """What clients send as the value of a declared dimension, for terminals and messages: one line, not too long."""
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in value)
    return line if len(line) <= _LONGEST_VALUE else f"{line[: _LONGEST_VALUE - 1]}…"


_LONGEST_VALUE = 60


def signatures_words(account: Account) -> str:
    """What the signatures of an account were found by, or why there are none."""
    basis = account.reports
    if basis is None:
        return "" if account.signatures else "only what counts crashes, and is worse when it grows, has them."
    there = f" of {users(basis.where)}" if basis.where else ""
    if not basis.reports:
        return f"no crash reports{there} of this version are known."
    if not basis.predecessors:
        return (
            f"no predecessor has crash reports{there} of that age, so it cannot be said which are too many."
        )
    used = sum(each.used for each in account.predecessors)
    had = f"those of {basis.predecessors} of {_many(used, 'predecessor')} at that age"
    said = f"{_many(basis.reports, 'report')}{there} against {had}, {_many(basis.looked_at, 'signature')} looked at"
    return f"{said}." if account.signatures else f"{said}; none alone carries the excess."


_NAMED = ("os_name", "os_version", "architecture", "country")


def _worse(account: Account, look: Look) -> str:
    sure = ", odds of a false alarm under 1 in 100" if look.since is not None else ""
    first = f"first crossed {look.since:%Y-%m-%d %H:%M} UTC, " if look.since is not None else ""
    if look.ratio is None:
        return f"worse, {first}{_seen(look)}; there is nothing left to compare with"
    if doubted(account):
        return f"{_worse_still(account, look)}; {_counts(look)}{_carried(account)}{_now(look)}"
    said = (
        f"{_where(account)}{sure}; over all {_over_all(look)}"
        if _named(account)
        else f"{_compared(account, look)}{sure}"
    )
    return f"worse{said}; {first}{_counts(look)}{_carried(account)}{_now(look)}"


def _worse_still(account: Account, look: Look) -> str:
    """Of a worse whose interval holds 1 by now: what it was found by, and what is seen today."""
    of, crossed = now_of(account), account.crossed
    who = f" for {_those(account.explanations[0].where)}" if _named(account) else ""
    then = (
        ", which stays until a person withdraws it"
        if crossed is msgspec.UNSET
        else f" (then {times(crossed.ratio, crossed.low, crossed.high)} times what {_predecessors(account)} had, "
        f"95 % interval {_ends(crossed.low, crossed.high)})"
    )
    now = "not known"
    if of.ratio is not None and of.low is not None and of.high is not None:
        ratio = times(of.ratio, of.low, of.high)
        now = (
            f"{ratio} times at {span(look.age_hours)} (95 % interval {_ends(of.low, of.high)}, at every look)"
        )
    return f"worse{who} since {look.since:%Y-%m-%d %H:%M} UTC{then}; now {now}"


def _better(account: Account, look: Look) -> str:
    return f"better{_compared(account, look)}, {_counts(look)}"


def _same(account: Account, look: Look) -> str:
    return f"as good as before{_compared(account, look)}, {_counts(look)}"


def _too_early(account: Account, look: Look) -> str:
    if "withdrawn" in look.reasons:
        return (
            f"not called worse{_compared(account, look)}, {_counts(look) if look.expected else _seen(look)}"
        )
    if "not_published" in look.reasons:
        return f"too early to say, it is published in {span(-look.age_hours)}"
    if "no_history" in look.reasons:
        earlier = len(account.predecessors)
        none = (
            f"none of {earlier} earlier releases can be compared with"
            if earlier
            else "no earlier release is known"
        )
        return f"too early to say, {none}{_seen_alone(look)}"
    if look.ratio is None or look.low is None or look.high is None:
        return f"too early to say, nothing has been reported yet at {span(look.age_hours)}{_due(look)}"
    least = f"from {times(look.low)} to" if look.low > 0 else "up to"
    known = f"anything {least} {times(look.high)} times what was to be expected is possible"
    return f"too early to say, {known} at {span(look.age_hours)} ({_counts(look)}){_due(look)}"


def _environment(account: Account, look: Look) -> str:
    moved = f"all versions moved by {times(account.data.environment)} times at once"
    return f"not the release, {moved}; measured by that it is{_compared(account, look)[1:]}"


def _data_problem(account: Account, look: Look) -> str:
    faults = [words for code, words in _FAULTS.items() if code in look.reasons]
    if "pings_lost" in look.reasons and account.data.seen is not None:
        faults[0] += (
            f" ({account.data.seen:.0%} of the pings that should have come in the last half hour did)"
        )
    return f"cannot be judged now, {' and '.join(faults) or 'the data is incomplete'}"


_SAID = {
    "worse": _worse,
    "better": _better,
    "same": _same,
    "too-early": _too_early,
    "environment": _environment,
    "data-problem": _data_problem,
}
_OF_A_DIRECTION = ("worse", "better", "environment")
_FAULTS = {
    "pings_lost": "pings are or were lost within the hour",
    "no_hours": "usage hours stopped arriving while events went on",
    "no_events": "events stopped arriving where many were to be expected",
    "no_activity": "usage by activity time does not arrive",
}


def _compared(account: Account, look: Look) -> str:
    if look.ratio is None or look.low is None or look.high is None:
        return ""
    ratio = times(look.ratio, look.low, look.high)
    ends = f"95 % interval {_ends(look.low, look.high)}, at every look"
    return f", {ratio} times what {_predecessors(account)} had at {span(look.age_hours)} ({ends})"


def _predecessors(account: Account) -> str:
    used = sum(each.used for each in account.predecessors)
    return f"the last {used} releases" if used > 1 else "the last release"


def _ends(low: float, high: float) -> str:
    return f"{times(low, low, high)} to {times(high, low, high)}"


def _named(account: Account) -> bool:
    """Whether it is worse for some users and not for all."""
    return bool(account.look.slice and account.explanations)


def _where(account: Account) -> str:
    best = account.explanations[0]
    near = [each for each in account.explanations[1:2] if best.score - each.score < 3]
    also = f" (or perhaps {_those(near[0].where)})" if near else ""
    known = best.low is not None and best.high is not None
    ends = f" (95 % interval {_ends(best.low or 0.0, best.high or 0.0)})" if known else ""
    ratio = times(best.ratio, best.low, best.high)
    rest = f", {times(best.rest)} times elsewhere" if best.rest is not None else ""
    return (
        f" for {_those(best.where)}{also}: {ratio} times what {_predecessors(account)} had there{ends}{rest}"
    )


def _those(where: dict[str, str]) -> str:
    said = users(where)
    return f"users {said}" if said.startswith("in ") else said


def _over_all(look: Look) -> str:
    if look.ratio is None or look.low is None or look.high is None:
        return "it is not known"
    ratio = times(look.ratio, look.low, look.high)
    return (
        f"{ratio} times at {span(look.age_hours)} (95 % interval {_ends(look.low, look.high)}, at every look)"
    )


def _carried(account: Account) -> str:
    """The signatures that carry most of the excess."""
    told = [each for each in account.signatures if each.share is not None][:_SIGNATURES]
    if not told:
        return ""
    parts = [
        f"{100 * (each.share or 0.0):.0f} %{'' if n else ' of the excess of crash reports'} has "
        f"{'signature ' + _cut(each.signature) if each.signature else 'no signature'}{' (new)' if each.new else ''}"
        for n, each in enumerate(told)
    ]
    return f"; {' and '.join(parts)}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _now(look: Look) -> str:
    """A worse that was given stays; what holds today is said beside it."""
    if look.low is not None and look.high is not None and look.low >= 1 / _WITHIN and look.high <= _WITHIN:
        return "; now within limits"
    return ""


def _counts(look: Look) -> str:
    return f"{_number(look.observed)} seen where {_number(look.expected)} were expected"


def _seen_alone(look: Look) -> str:
    return f" ({_seen(look)})" if look.age_hours >= 0 else ""


def _seen(look: Look) -> str:
    return f"{_number(look.observed)} seen at {span(look.age_hours)}"


def _due(look: Look) -> str:
    """When which ratio will be known, the soonest first."""
    told = sorted(look.forecast.items(), key=lambda pair: -abs(math.log(float(pair[0]))))
    now = [f"{ratio}x" for ratio, due in told if due.hours_left == 0]
    later = [f"{ratio}x in about {span(due.hours_left)}" for ratio, due in told if due.hours_left]
    never = [f"{ratio}x" for ratio, due in told if due.hours_left is None]
    parts = []
    if now:
        parts.append(f"{' and '.join(now)} would mostly show by now")
    if later:
        parts.append(f"to be decided are {', '.join(later)}")
    if never and (now or later):
        parts.append(f"{' and '.join(never)} cannot be told from ordinary differences with this history")
    return "".join(f"; {part}" for part in parts)


def _doubts(account: Account, look: Look, down: bool) -> str:
    used = sum(each.used for each in account.predecessors)
    parts = []
    if "withdrawn" in look.reasons and look.since is not None:
        parts.append(f"it was from {look.since:%Y-%m-%d %H:%M} UTC on, until a person accepted it")
    if "short_history" in look.reasons:
        only = "one earlier release" if used == 1 else f"{used} earlier releases"
        parts.append(f"with {only} to compare with, only {'half' if down else 'twice'} as many can be called")
    if "odd_rollout" in look.reasons:
        parts.append("it reaches its users otherwise than the releases before, which makes less sure")
    if "odd_mix" in look.reasons:
        parts.append("its users are of other countries than usual at this age, which makes less sure")
    if "after_gap" in look.reasons and look.verdict != "data-problem":
        parts.append("data was missing not long ago, and that time is left out")
    if "shock" in look.reasons and look.verdict != "environment":
        parts.append(
            f"all versions moved by {times(account.data.environment, 1, 1)} times, which makes less sure"
        )
    if "used_early" in look.reasons:
        parts.append("it was in use before its publication, and that is not counted")
    if account.inferred:
        parts.append("the time of publication is a guess from its first users")
    return "".join(f"; {part}" for part in parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:] if title[1:2].islower() else title
