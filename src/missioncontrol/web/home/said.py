"""What verdicts say of one platform, in words for the first page, and the line at its top.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from missioncontrol.health.model import Account, SliceLook
from missioncontrol.query.summary_scope import KEY_MEASURES, platform_of
from missioncontrol.web.carried.view import account_address
from missioncontrol.web.crashes.address import signature_href
from missioncontrol.web.verdicts.bars import guilty_of
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
        words = _words(account, ratio, low, high, where, now)
    return Said(
        mark=mark,
        version=account.subject.version,
        measure=account.subject.measure,
        title=title(account.subject.measure),
        href=verdict_path(account.subject),
        words=words,
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


def points_of(accounts: Iterable[Account], title: Title, now: datetime) -> list[Point]:
    """All that needs attention, the most pressing first."""
    found = sorted(
        filter(pressing, accounts), key=lambda one: (place_of(one.look.verdict), -one.look.evidence)
    )
    return [_point(one, title, now) for one in found]


def _point(account: Account, title: Title, now: datetime) -> Point:
    subject, look, guilty = account.subject, account.look, guilty_of(account)
    where = dict(guilty.where if guilty else look.slice or {})
    of = guilty or look
    name = title(subject.measure)
    name = name[:1].lower() + name[1:]
    if look.verdict == "worse":
        place = f" {where_phrase(where)}" if where else ""
        since = f" since {since_words(look.since, now)}" if look.since else ""
        said = f"{name} worse{place}{since}: {compared(of.ratio, of.low, of.high)}"
    elif look.verdict == "data-problem":
        said = f"{name} cannot be judged. {_reasons(look.reasons)}".rstrip()
    else:
        said = f"{name} moved in all versions at once, so it is not this release"
    text = f"{subject.application} {subject.channel} {subject.version}: {said.rstrip('.')}."
    return Point(mark_of(look.verdict), subject.application, subject.channel, text, verdict_path(subject))


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
    ends = [where_phrase(where)] if where else []
    if look.verdict == "worse" and look.since:
        ends.append(f"since {since_words(look.since, now)}")
    return ", ".join([said, " ".join(ends)]) if ends else said


def _reasons(codes: Sequence[str]) -> str:
    return reason_words(codes[0]) if codes else ""


def _slice_of(slices: Iterable[SliceLook], platform: str) -> SliceLook | None:
    """The slice of a platform's system alone, the most used where it has several."""
    own = [
        one
        for one in slices
        if set(one.where) == {"os_name"} and platform_of(one.where["os_name"]) == platform
    ]
    return max(own, key=lambda one: one.usage_share, default=None)
