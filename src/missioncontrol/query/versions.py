"""Order of version numbers, by number and not by text.

Knows the shapes that browsers and most software use (`61.0a1`, `61.0b10`, `61.0`, `61.0.1`, `60.2.0esr`,
`2.1-rc.1`). Never raises: text that is no version sorts below all versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

VersionKey = tuple[int, int, int, int, tuple[int, ...], int, int, str]

_NUMBER = r"\d{1,18}"  # int() of thousands of digits would raise
_VERSION = re.compile(
    rf"v?({_NUMBER})((?:\.{_NUMBER})*)[-._ ]?(?:(alpha|a|beta|b|rc|esr|pre|nightly)[-._ ]?({_NUMBER})?)?(.*)",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_STAGES = {"nightly": 0, "pre": 0, "alpha": 1, "a": 1, "beta": 2, "b": 2, "rc": 3}
_FINAL = 4


def version_key(text: str) -> VersionKey:
    """Sort key of a version: `61.0a1 < 61.0b2 < 61.0b10 < 61.0 < 61.0.1 < 61.0esr < 100.0`.

    Two texts of the same version (`61.0` and `61.0.0`) have equal keys. An esr sorts after the other versions
    of the same first two numbers. Text that is no version has a key below all versions, ordered as text.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        return (0, 0, 0, 0, (), 0, 0, text)
    major, more, stage, nth, rest = match.groups()
    numbers = [int(n) for n in more.split(".")[1:]]
    minor, patches = (numbers[0], numbers[1:]) if numbers else (0, [])
    while patches and patches[-1] == 0:
        patches.pop()
    stage = (stage or "").lower()
    return (
        1,
        int(major),
        minor,
        int(stage == "esr"),
        tuple(patches),
        _STAGES.get(stage, _FINAL),
        int(nth or 0),
        rest,
    )


def is_version(text: str) -> bool:
    """Whether the text starts as a version does."""
    return version_key(text)[0] == 1


def newest_first(versions: Iterable[str]) -> list[str]:
    """The versions, the newest first."""
    return sorted(versions, key=lambda v: (version_key(v), v), reverse=True)


def between(versions: Iterable[str], low: str, high: str) -> list[str]:
    """Those versions that are within both bounds, both included, in ascending order."""
    first, last = version_key(low), version_key(high)
    return sorted((v for v in versions if first <= version_key(v) <= last), key=lambda v: (version_key(v), v))
