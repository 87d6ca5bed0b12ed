"""What `/api/channel-platform-summary/` and `/api/measure/` are about: platforms, measures, combinations.

Names of applications, channels and platforms are lower case here, as the predecessor wrote them.
"""

from __future__ import annotations

import msgspec

from missioncontrol.registry.model import Application, Registry
from missioncontrol.registry.normalise import os_name_not_renamed

USAGE = "usage_hours"
KEY_MEASURES = ("main_crashes", "content_crashes", "content_shutdown_crashes")
"""What `only_crash_measures` keeps."""

_FAMILIES = Application(name="", os_names="family")
_DESKTOP = (
    "main_crashes",
    "content_crashes",
    "startup_crashes",
    "content_shutdown_crashes",
    "gmplugin_crashes",
    "plugin_crashes",
)
_CHANNELS = ("release", "beta", "nightly", "esr")
_LISTED = {
    ("firefox", "windows"): (_CHANNELS, (*_DESKTOP[:3], "gpu_crashes", *_DESKTOP[3:])),
    ("firefox", "mac"): (_CHANNELS, _DESKTOP),
    ("firefox", "linux"): (_CHANNELS, _DESKTOP),
    ("fennec", "android"): (_CHANNELS[:3], ("main_crashes",)),
}
"""(application, platform) -> channels and measures that the predecessor listed, whether or not there was data."""

_ORDER = ("firefox", "fennec", *_CHANNELS, "windows", "mac", "linux", "android")


class Combination(msgspec.Struct, frozen=True):
    """An application on a channel and a platform; all lower case."""

    application: str
    channel: str
    platform: str

    @property
    def names(self) -> tuple[str, str, str]:
        """Application, channel and platform."""
        return (self.application, self.channel, self.platform)

    @property
    def rank(self) -> tuple[tuple[int, str], ...]:
        """Sort key: what the predecessor knew comes first, all else in the order of text."""
        return tuple((_ORDER.index(n) if n in _ORDER else len(_ORDER), n) for n in self.names)

    @property
    def listed_measures(self) -> tuple[str, ...]:
        """Measures that it has even without data."""
        channels, measures = _LISTED.get((self.application, self.platform), ((), ()))
        return measures if self.channel in channels else ()


class Choice(msgspec.Struct, frozen=True):
    """Which combinations are asked for, in lower case; an empty set is all."""

    applications: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    platforms: frozenset[str] = frozenset()

    def has(self, one: Combination) -> bool:
        """Whether the combination is asked for."""
        sets = (self.applications, self.channels, self.platforms)
        return all(not wanted or name in wanted for wanted, name in zip(sets, one.names, strict=True))


def platform_of(os_name: str | None) -> str:
    """windows, mac, linux, ios, android or other, from an operating system as any application sends it."""
    return os_name_not_renamed(os_name or "", _FAMILIES).lower()


def listed_combinations() -> list[Combination]:
    """What is listed even without data."""
    return [Combination(a, c, p) for (a, p), (channels, _) in _LISTED.items() for c in channels]


def crash_measures(registry: Registry) -> list[str]:
    """The measures of crashes that have a rate per 1,000 usage hours, in the order of declaration."""
    groups = ("crash", "crash_report")
    return [m.name for m in registry.measures.values() if m.group in groups and m.per == USAGE]
