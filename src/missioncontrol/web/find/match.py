"""What fits a text, the best first. Pure.

A thing fits when every word of the text is somewhere in what it is called. Upper and lower case are alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")

Kind = Literal["crash", "version", "build", "signature", "measure", "dimension", "application", "page"]
KINDS: dict[Kind, str] = {
    "crash": "Crashes",
    "version": "Versions",
    "build": "Builds",
    "signature": "Crash signatures",
    "measure": "Measures",
    "dimension": "Dimensions",
    "application": "Applications and channels",
    "page": "Pages",
}
"""Kind -> heading, in the order in which they are shown."""
_WORD = re.compile(r"[\s]+")
_MOST_WORDS = 10


class Way(msgspec.Struct, frozen=True):
    """A further page of a hit."""

    title: str
    href: str


class Hit(msgspec.Struct, frozen=True):
    """Something that fits."""

    kind: Kind
    title: str
    where: str
    """What tells it from others of the same name."""
    href: str
    fit: int
    """How well it fits: 0 it is called so, 1 it begins so, 2 a word of it does, 3 it is within its name, 4 its
    words are elsewhere.
    """
    ways: tuple[Way, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether it is called just so."""
        return self.fit == 0


class Named(msgspec.Struct, frozen=True):
    """A thing that can be found: its name alone is compared first, then all its words."""

    name: str
    words: str
    hit: Hit


class Asked(msgspec.Struct, frozen=True):
    """What is looked for, in lower case: all words with single spaces, and the first ten different ones."""

    whole: str
    words: tuple[str, ...]


def asked_of(text: str) -> Asked | None:
    """What a text asks for; None: nothing."""
    words = [word for word in _WORD.split(text.casefold()) if word]
    return Asked(" ".join(words), tuple(dict.fromkeys(words))[:_MOST_WORDS]) if words else None


def place_among(name: str, words: str, asked: Asked) -> int | None:
    """How well it fits, as `Hit.fit` says; None: it does not."""
    whole, name, words = asked.whole, name.casefold(), words.casefold()
    if name == whole:
        return 0
    if name.startswith(whole):
        return 1
    at = name.find(whole)
    if at > 0:
        return 2 if not name[at - 1].isalnum() else 3
    everything = f"{name} {words}"
    return 4 if all(word in everything for word in asked.words) else None


def fitting(things: Iterable[Named], asked: Asked, most: int) -> list[Hit]:
    """The hits that fit best; among equals those that come first."""
    return [
        msgspec.structs.replace(thing.hit, fit=place)
        for place, thing in best(things, asked, most, lambda thing: (thing.name, thing.words))
    ]


def best(
    things: Iterable[T], asked: Asked, most: int, called: Callable[[T], tuple[str, str]]
) -> list[tuple[int, T]]:
    """How well each of the best fits, and it; `called` gives name and further words."""
    found = []
    for thing in things:
        place = place_among(*called(thing), asked)
        if place is not None:
            found.append((place, thing))
    found.sort(key=lambda one: one[0])
    return found[:most]


def mixed(hits: Sequence[Hit], most: int) -> list[Hit]:
    """A short list of a long one: what is called just so, then of each kind in turn what a word of begins so, then the
    rest; shown kind by kind.
    """
    chosen = [hit for hit in hits if hit.exact]
    for level in ([hit for hit in hits if 0 < hit.fit <= 2], [hit for hit in hits if hit.fit > 2]):
        kinds = [[hit for hit in level if hit.kind == kind] for kind in KINDS]
        for turn in range(max(map(len, kinds))):
            chosen += [own[turn] for own in kinds if turn < len(own)]
    order = list(KINDS)
    return sorted(chosen[:most], key=lambda hit: (not hit.exact, order.index(hit.kind)))
