"""What verdicts say of one platform, in words for the first page, and the line at its top.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from missioncontrol.health.crossing import doubted, guilty_of, now_of
from missioncontrol.health.model import Account, SliceLook, Subject
from missioncontrol.query.summary_scope import KEY_MEASURES, platform_of
from missioncontrol.web.carried.view import account_address
from missioncontrol.web.crashes.address import signature_href
from missioncontrol.web.verdicts.view import verdict_path
from missioncontrol.web.verdicts.words import (
    ORDER,
    Mark,
    between,
    length,
    mark_of,
    reason_words,
    times,
    where_words,
)

PLATFORMS = {
    "windows": "Windows",
    "mac": "Mac",
    "linux": "Linux",
    "android": "Android",
    "ios": "iOS",
    "other": "Other systems",
}
ELSEWHERE = Mark(
    "elsewhere", "○", "Not here", "It is worse on another system; what is said of this one is beside it."
)
_PRESSING = ("worse", "data-problem", "environment")
"""Verdicts that are shown of every measure, and named at the top of the page."""
_TOGETHER = ("data-problem", "environment", "too-early")
"""Verdicts that are told once for all measures of a release that share the reason."""
_MOST_NAMED = 4
_FAULTS = ("pings_lost", "no_hours", "no_events", "no_activity")
"""Reasons for which data cannot be judged; others only stand beside them."""
_MOVED = "moved in all versions at once, so it is not this release"
_MOST_CARRIED = 2
Title = Callable[[str], str]


class CarriedBy(msgspec.Struct, frozen=True):
    """A crash signature, its share of the excess, and its page."""

    signature: str | None
    share: float | None
    new: bool
    href: str


class Said(msgspec.Struct, frozen=True):
    """A verdict as it concerns one platform."""

    mark: Mark
    version: str
    measure: str
    title: str
    href: str
    words: str
    """With ratio, interval and age."""
    measures: list[str]
    """All that this is said of, `measure` first; several only of what is no fault of the release."""
    ratio: float | None
    low: float | None
    high: float | None
    since: datetime | None
    """Since when it is worse."""
    sentence: str
    """The whole verdict."""
    carried: list[CarriedBy] = []
    """The signatures that carry most of what is worse here."""
    carried_href: str = ""


class Point(msgspec.Struct, frozen=True):
    """Something that needs attention: a verdict in one sentence."""

    mark: Mark
    application: str
    channel: str
    text: str
    href: str


def pressing(account: Account) -> bool:
    """Whether a verdict needs attention."""
    return account.look.verdict in _PRESSING


def shown_of(accounts: Iterable[Account]) -> list[Account]:
    """Of the verdicts on a version those that a card shows: the key measures, then whatever else presses."""
    held = list(accounts)
    keys = [one for name in KEY_MEASURES for one in held if one.subject.measure == name]
    others = [one for one in held if one not in keys]
    shown = keys or others[:3]
    return [*shown, *(one for one in others if pressing(one) and one not in shown)]


def place_of(verdict: str) -> float:
    """Place in the order of need: what is worse elsewhere may still be so here; what is not known comes last."""
    if verdict == ELSEWHERE.verdict:
        return ORDER.index("too-early") + 0.5
    return ORDER.index(verdict) if verdict in ORDER else len(ORDER)


def need_of(said: Sequence[Said]) -> str:
    """The verdict of these that needs attention most; empty without any."""
    return min((one.mark.verdict for one in said), key=place_of, default="")


def said_of(account: Account, platform: str, title: Title, now: datetime) -> Said:
    """What an account says of a platform."""
    look, guilty = account.look, guilty_of(account)
    where = dict(guilty.where if guilty else look.slice or {})
    system = where.get("os_name")
    mark, of = mark_of(look.verdict), guilty or look
    ratio, low, high = of.ratio, of.low, of.high
    if look.verdict == "worse" and system is not None and platform_of(system) != platform:
        own = _slice_of(account.slices, platform)
        mark = ELSEWHERE
        ratio, low, high = (own.ratio, own.low, own.high) if own else (None, None, None)
        words = f"worse {where_phrase(where)}; here {compared(ratio, low, high)}"
    else:
        if doubted(account):
            ratio, low, high = now_of(account).ratio, now_of(account).low, now_of(account).high
        words = _words(account, ratio, low, high, where, now)
    return Said(
        mark=mark,
        version=account.subject.version,
        measure=account.subject.measure,
        title=title(account.subject.measure),
        href=verdict_path(account.subject),
        words=words,
        measures=[account.subject.measure],
        ratio=ratio,
        low=low,
        high=high,
        since=look.since if look.verdict == "worse" else None,
        sentence=account.sentence,
        carried=_carried(account) if mark.verdict == "worse" else [],
        carried_href=account_address(account),
    )


def _carried(account: Account) -> list[CarriedBy]:
    of = account.subject
    return [
        CarriedBy(
            one.signature,
            one.share,
            one.new,
            signature_href(one.signature, of.application, version=of.version, channel=of.channel),
        )
        for one in account.signatures[:_MOST_CARRIED]
    ]


def together(said: Iterable[Said], of: Sequence[Account]) -> list[Said]:
    """The same is said once of all measures that it is true of; what is worse stays by itself.

    of: all verdicts on the version.
    """
    groups: dict[tuple[object, ...], list[Said]] = {}
    for one in said:
        alone = one.measure if one.mark.verdict not in _TOGETHER else ""
        groups.setdefault((one.mark.verdict, one.words, alone), []).append(one)
    return [_joined(held, of) if len(held) > 1 else held[0] for held in groups.values()]


def _joined(said: Sequence[Said], of: Sequence[Account]) -> Said:
    first, subject = said[0], of[0].subject
    names = [said[0].title, *(_lower(one.title) for one in said[1:])]
    which = _all_of(len(said), of)
    return msgspec.structs.replace(
        first,
        title=f"All {which}" if which else _listed(names),
        href=_list_path(subject, first.mark.verdict),
        measures=[one.measure for one in said],
        ratio=None,
        low=None,
        high=None,
        sentence=f"{first.version}: {first.words}",
    )


def points_of(accounts: Iterable[Account], title: Title, now: datetime) -> list[Point]:
    """All that needs attention, the most pressing first; what is no fault of a release once for its measures."""
    held = list(accounts)
    found = sorted(filter(pressing, held), key=lambda one: (place_of(one.look.verdict), -one.look.evidence))
    groups: dict[tuple[object, ...], list[Account]] = {}
    for one in found:
        reasons = _reasons(one.look.reasons) if one.look.verdict in _TOGETHER else one.subject.measure
        groups.setdefault((*_release(one), one.look.verdict, reasons), []).append(one)
    of: dict[tuple[str, str, str], list[Account]] = {}
    for one in held:
        of.setdefault(_release(one), []).append(one)
    return [_point(group, of[_release(group[0])], title, now) for group in groups.values()]


def _release(account: Account) -> tuple[str, str, str]:
    return account.subject.application, account.subject.channel, account.subject.version


def _all_of(number: int, of: Sequence[Account]) -> str:
    """`36 measures`, or `other 32 measures` where the rest is worse; empty where so many are not all of a release."""
    worse = sum(1 for one in of if one.look.verdict == "worse")
    if number < 2 or number != len(of) - worse:
        return ""
    return f"{'other ' if worse else ''}{number} measures"


def _point(group: Sequence[Account], of_release: Sequence[Account], title: Title, now: datetime) -> Point:
    """What is said of some accounts of a release; of_release: all of it."""
    account = group[0]
    subject, look, guilty = account.subject, account.look, guilty_of(account)
    where = dict(guilty.where if guilty else look.slice or {})
    of = guilty or look
    every = _all_of(len(group), of_release)
    keys = sorted(group, key=lambda one: one.subject.measure not in KEY_MEASURES)
    name = _listed([_lower(title(one.subject.measure)) for one in keys])
    if look.verdict == "worse":
        place = f" {where_phrase(where)}" if where else ""
        since = f" since {since_words(look.since, now)}" if look.since else ""
        said = f"{name} worse{place}{since}: {compared(of.ratio, of.low, of.high)}"
        if doubted(account):
            said = f"{name} worse{place} {still_words(account, now)}"
    elif look.verdict == "data-problem":
        which = f"none of its {every} can be judged" if every else f"{name} cannot be judged"
        said = f"{which}. {_reasons(look.reasons)}".rstrip()
    else:
        which = f"all {every}" if every else name
        said = f"{which} {_MOVED}"
    text = f"{subject.application} {subject.channel} {subject.version}: {said.rstrip('.')}."
    href = verdict_path(subject) if len(group) == 1 else _list_path(subject, look.verdict)
    return Point(mark_of(look.verdict), subject.application, subject.channel, text, href)


def _list_path(subject: Subject, verdict: str) -> str:
    """The list of verdicts of that kind on the channel."""
    asked = {"application": subject.application, "channel": subject.channel, "verdict": verdict}
    return f"/verdicts?{urlencode(asked)}"


def _listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; of many the first ones and how many more."""
    if len(names) > _MOST_NAMED:
        names = sorted(names, key=lambda name: "," in name)  # in a list a comma within a name confuses
        names = [*names[: _MOST_NAMED - 1], f"{len(names) - _MOST_NAMED + 1} more measures"]
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def where_phrase(where: Mapping[str, str]) -> str:
    """`on Windows`, `for Linux 6.1 (system), x86 (architecture)`; empty: everywhere."""
    if set(where) == {"os_name"}:
        return f"on {PLATFORMS[platform_of(where['os_name'])]}"
    return f"for {where_words(where)}" if where else "everywhere"


def since_words(since: datetime, now: datetime) -> str:
    """`14:35 UTC`, or with the day where that is not today."""
    if since.date() == now.date():
        return f"{since:%H:%M} UTC"
    return f"{since.day} {since:%B %H:%M} UTC" if since.year == now.year else f"{since:%Y-%m-%d %H:%M} UTC"


def still_words(account: Account, now: datetime) -> str:
    """`since 14:05 UTC (then 1.80×, 1.30× to 2.40×); now 1.10× (0.90× to 1.30×)`: its interval holds 1 by now.

    Where it is not known what was seen then, that it stays.
    """
    crossed, of, since = account.crossed, now_of(account), account.look.since
    then = (
        ", which stays until a person withdraws it"
        if crossed is msgspec.UNSET
        else f" (then {times(crossed.ratio)}, {between(crossed.low, crossed.high)})"
    )
    return f"since {since_words(since or now, now)}{then}; now {compared(of.ratio, of.low, of.high)}"


def compared(ratio: float | None, low: float | None, high: float | None) -> str:
    """`1.62× (1.31× to 2.05×)`; or that it is not known."""
    if ratio is None:
        return "not known"
    return f"{times(ratio)} ({between(low, high)})" if low is not None and high is not None else times(ratio)


def _words(
    account: Account,
    ratio: float | None,
    low: float | None,
    high: float | None,
    where: Mapping[str, str],
    now: datetime,
) -> str:
    look = account.look
    used = sum(1 for one in account.predecessors if one.used)
    age = length(max(look.age_hours, 0.0))
    if look.verdict == "data-problem":
        return _reasons(look.reasons) or "it cannot be judged now"
    if ratio is None:
        return _reasons(look.reasons) or f"nothing can be compared yet at {age}"
    had = f"what {used} predecessors had" if used != 1 else "what its predecessor had"
    said = f"{compared(ratio, low, high)} {had} at {age}"
    if look.verdict == "too-early":
        return f"not decided; so far {said}"
    if look.verdict == "environment":
        return _MOVED
    ends = [where_phrase(where)] if where else []
    if doubted(account):
        return " ".join([*ends, f"{still_words(account, now)} {had} at {age}"])
    if look.verdict == "worse" and look.since:
        ends.append(f"since {since_words(look.since, now)}")
    return ", ".join([said, " ".join(ends)]) if ends else said


def _reasons(codes: Sequence[str]) -> str:
    first = next((code for code in codes if code in _FAULTS), codes[0] if codes else "")
    return reason_words(first) if first else ""


def _slice_of(slices: Iterable[SliceLook], platform: str) -> SliceLook | None:
    """The slice of a platform's system alone, the most used where it has several."""
    own = [
        one
        for one in slices
        if set(one.where) == {"os_name"} and platform_of(one.where["os_name"]) == platform
    ]
    return max(own, key=lambda one: one.usage_share, default=None)
