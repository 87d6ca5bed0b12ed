"""How raw values become dimension values: the rules by name.

Each rule takes the raw scalar and the application's settings and returns text or None. None of them raises.
Source of the rules: the normalisation of Mozilla's ingestion pipeline and the last streaming error aggregator.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from missioncontrol.registry.model import Application

Rule = Callable[[str, Application], str | None]

_CHANNELS = frozenset(("release", "esr", "beta", "aurora", "nightly"))
_NUMERIC_PREFIX = re.compile(r"\d+(?:\.\d+){0,2}", re.ASCII)
_COUNTRY = re.compile(r"[A-Za-z]{2}")
DEFAULT_THEMES = frozenset(
    (
        "{972ce4c6-7e08-4474-a285-3208198ce6fd}",
        "firefox-compact-light@mozilla.org@personas.mozilla.org",
        "firefox-compact-dark@mozilla.org@personas.mozilla.org",
        "firefox-compact-light@mozilla.org",
        "firefox-compact-dark@mozilla.org",
        "default-theme@mozilla.org",
    )
)


def channel(value: str, application: Application) -> str:
    """One of the application's channels, else `Other`; an empty one stays empty."""
    if application.channels == "as_sent" or not value:
        return value
    if application.channels != "mozilla":
        return value if value in application.channels else "Other"
    if value in _CHANNELS:
        return value
    if value.startswith("nightly-cck-"):
        return "nightly"
    return "beta" if value.startswith("beta") else "Other"


def os_name(value: str, application: Application) -> str:
    """The operating system, renamed where the application says so, as sent or as its family."""
    return os_name_not_renamed(application.os_renames.get(value, value), application)


def os_name_not_renamed(value: str, application: Application) -> str:
    """The operating system as sent, or its family: Windows, Mac, Linux, iOS, Android or Other."""
    if application.os_names == "as_sent":
        return value
    if value.startswith(("Windows", "WINNT")):
        return "Windows"
    if value.startswith(("Darwin", "Mac")):
        return "Mac"
    if any(name in value for name in ("Linux", "BSD", "SunOS", "Solaris")):
        return "Linux"
    if value.startswith("iOS") or "iPhone" in value:
        return "iOS"
    return "Android" if value.startswith("Android") else "Other"


def os_version(value: str, application: Application) -> str | None:
    """The leading N[.N[.N]], or null."""
    if application.os_versions == "as_sent":
        return value
    match = _NUMERIC_PREFIX.match(value)
    return match[0] if match else None


def country(value: str, application: Application) -> str:
    """Two letters in upper case; `??` for unknown; anything else `Other`."""
    if value == "??":
        return value
    return value.upper() if _COUNTRY.fullmatch(value) else "Other"


TEXT_RULES: dict[str, Rule] = {
    "channel": channel,
    "os": os_name,
    "os_not_renamed": os_name_not_renamed,
    "os_version": os_version,
    "country": country,
}


@lru_cache(maxsize=4096)
def printable(value: str) -> str:
    """Control characters, NUL and lone surrogates would break readers of the tables: they become U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in value)


def text(value: object) -> str | None:
    """A text as it is, `True` or `False`, or a number as it is written."""
    return value if isinstance(value, str) else str(value)


def ascii_text(value: object) -> str | None:
    """As `text`, with `?` for every character that is not ASCII."""
    return str(value).encode("ascii", "replace").decode()


def text_not_none(value: object) -> str | None:
    """As `text`; `none` means that there is none."""
    return None if value == "none" else text(value)


SCALAR_RULES: dict[str, Callable[[object], str | None]] = {
    "text": text,
    "ascii_text": ascii_text,
    "text_not_none": text_not_none,
}
"""Rules that turn any scalar into text."""


def activity_day(value: object, submitted: date) -> str | None:
    """The day in the first ten characters (as written, no time zone), within the 7 days up to the submission.

    Null when they are no day.
    """
    try:
        written = date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        written = None
    if written is None:
        return None
    return max(submitted - timedelta(days=7), min(submitted, written)).isoformat()


def boolean(value: object) -> str | None:
    """`True` or `False`, else null."""
    return str(value) if isinstance(value, bool) else None


def profile_age(creation_day: object, received_day: int) -> str | None:
    """Age bin of a profile in days since the epoch: by day to 42, by 7 (rounded up) to 364, then 365."""
    if not isinstance(creation_day, int) or isinstance(creation_day, bool):
        return None
    age = received_day - creation_day
    if age < 0:
        return None
    if age <= 42:
        return str(age)
    return str(-(-age // 7) * 7) if age <= 364 else "365"


def quantum_ready(e10s: object, addons: Any, theme: Any) -> str | None:
    """Whether e10s is on, every add-on is a system add-on or WebExtension and the theme a default one.

    `addons`: object of id -> {isSystem, isWebExtension}; `theme`: object with id. Null if any of them is unknown.
    """
    if not isinstance(e10s, bool) or not isinstance(addons, dict) or not isinstance(theme, dict):
        return None
    if not isinstance(theme.get("id"), str):
        return None
    modern = all(
        isinstance(a, dict) and (a.get("isSystem") is True or a.get("isWebExtension") is True)
        for a in addons.values()
    )
    return str(e10s and modern and theme["id"] in DEFAULT_THEMES)
