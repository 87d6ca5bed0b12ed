"""The first page: what needs attention, then a card for every platform of every channel.

Takes facts, gives Structs for the template, the text and the JSON; knows no HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from missioncontrol.health.model import Account
from missioncontrol.registry.model import Registry
from missioncontrol.state.release_model import Version
from missioncontrol.web.home.cards import SILENT, Card, Facts, age_words, card_of
from missioncontrol.web.home.said import Point, place_of, points_of, pressing

_JUST_OUT_H = 24.0
_MOST_CARDS = 200


class Section(msgspec.Struct, frozen=True):
    """A channel of an application."""

    application: str | None
    channel: str | None
    title: str
    cards: list[Card]


class Home(msgspec.Struct, frozen=True):
    """All that the page shows."""

    now: datetime
    attention: list[Point]
    calm: str
    """What is said where nothing needs attention; empty otherwise."""
    notes: list[str]
    sections: list[Section]
    judged: int
    """Versions of which there are verdicts."""
    heading: str


def cards_of(registry: Registry, facts: Facts, now: datetime) -> list[Card]:
    """A card for every platform of every channel; the page shows those that need attention most."""
    known: dict[tuple[str, str], list[Version]] = {}
    for one in facts.versions:
        known.setdefault((one.application, one.channel), []).append(one)
    cards = []
    for place, field in facts.numbers.items():
        own = known.get((place.application or "", place.channel or ""), [])
        card = card_of(registry, facts, place, field, own, now)
        if card is not None:
            cards.append(card)
    return cards


def assembled(
    registry: Registry,
    cards: Sequence[Card],
    accounts: Sequence[Account],
    end: datetime | None,
    now: datetime,
) -> Home:
    """Cards in the order of need, at most 200, and what is said above them."""

    def title(name: str) -> str:
        measure = registry.measures.get(name)
        return measure.title if measure else name

    ordered = sorted(cards, key=_need)[:_MOST_CARDS]
    groups: dict[tuple[str | None, str | None], list[Card]] = {}
    for card in ordered:
        groups.setdefault((card.application, card.channel), []).append(card)
    sections = [
        Section(of, on, f"{application_title(of, registry)} {channel_title(on)}", held)
        for (of, on), held in groups.items()
    ]
    attention = points_of(accounts, title, now)
    judged = len({(a.subject.application, a.subject.channel, a.subject.version) for a in accounts})
    return Home(
        now=now,
        attention=attention,
        calm="" if attention else _calm(accounts, judged),
        notes=[*silence(end, now), *_just_out(sections)],
        sections=sections,
        judged=judged,
        heading=_heading(attention, accounts),
    )


def _heading(attention: Sequence[Point], accounts: Sequence[Account]) -> str:
    if not accounts:
        return "No verdicts yet"
    if not attention:
        return "Nothing needs attention"
    pressed: dict[tuple[str, str, str], set[str]] = {}
    for one in filter(pressing, accounts):
        of = one.subject
        pressed.setdefault((of.application, of.channel, of.version), set()).add(one.look.verdict)
    unjudged = sum(1 for verdicts in pressed.values() if verdicts == {"data-problem"})
    needy = len(pressed) - unjudged
    if not needy:
        return f"{_releases(unjudged)} cannot be judged now"
    also = f", {unjudged:,} cannot be judged now" if unjudged else ""
    return f"{_releases(needy)} need{'s' if needy == 1 else ''} attention{also}"


def _releases(number: int) -> str:
    return "1 release" if number == 1 else f"{number:,} releases"


def _calm(accounts: Sequence[Account], judged: int) -> str:
    if not accounts:
        return "No version has a verdict yet, so nothing can be said about whether one is worse."
    early = sum(1 for one in accounts if one.look.verdict == "too-early")
    versions = f"{judged} version{'s' if judged != 1 else ''}"
    found = f"Nothing needs attention: {versions} judged, none worse than before"
    if not early:
        return f"{found}."
    measures = f"{len(accounts):,} measure{'s' if len(accounts) != 1 else ''}"
    return f"{found}; for {early:,} of {measures} it is too early to say."


def silence(end: datetime | None, now: datetime) -> list[str]:
    """The note that nothing came for an hour."""
    if end is None or now - end < SILENT:
        return []
    return [f"Nothing has arrived since {end:%Y-%m-%d %H:%M} UTC; the numbers below end there."]


def _just_out(sections: Sequence[Section]) -> list[str]:
    """A release of which little is known yet, once for all its platforms."""
    found = []
    for section in sections:
        young = [c for c in section.cards if c.age_hours is not None and c.age_hours < _JUST_OUT_H]
        young.sort(key=lambda card: card.version or "")
        for version, cards in groupby(young, key=lambda card: card.version):
            held = list(cards)
            age = age_words(max(card.age_hours or 0.0 for card in held))
            hours = sum(card.usage_hours for card in held)
            found.append(
                f"{section.title} {version} went out {age} ago and has {hours:,.0f} usage hours so far. Rates of the "
                "first day run high: crashes arrive before the hours, and the first users are others."
            )
    return found


def application_title(application: str | None, registry: Registry) -> str:
    """What an application is called."""
    if application is None:
        return "Unknown application"
    declared = registry.applications.get(application)
    return declared.title if declared and declared.title else application or "(empty)"


def channel_title(channel: str | None) -> str:
    """What a channel is called."""
    return "unknown" if channel is None else channel or "(empty)"


def _need(card: Card) -> tuple[float, float, float, str, str, str]:
    names = (card.application or "", card.channel or "", card.platform)
    return (place_of(card.need), -card.usage_hours_day, -card.reports_day, *names)
