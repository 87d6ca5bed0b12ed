"""Addresses of the page of a channel: which view a URL asks for, and the URL of a view. Never looks at data."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote, urlencode

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.registry.model import Dimension, Registry
from missioncontrol.web.address import decode_part, encode_part, read_once

Columns = Literal["", "releases", "majors", "points", "betas"]
Show = Literal["rate", "count"]
Age = Literal["equal", "all"]

PLATFORMS = {
    "windows": "Windows",
    "mac": "Mac",
    "linux": "Linux",
    "android": "Android",
    "ios": "iOS",
    "other": "Other",
}
"""Family of systems -> how an address says it."""
CHOICES: dict[str, tuple[str, ...]] = {
    "columns": ("releases", "majors", "points", "betas"),
    "show": ("rate", "count"),
    "age": ("equal", "all"),
}
_NAMES = ("platform", *CHOICES, "sort", "q", "by", "measure", "version", "all")
_NO_USERS = ("application", "channel", "version", "display_version", "build_id")
"""Dimensions that say which build it is, not who uses it."""
_LONGEST = 300


class ChannelState(msgspec.Struct, frozen=True):
    """All that can be chosen on the page."""

    application: str | None
    channel: str | None
    platform: str = ""
    """A family of systems; empty: all."""
    columns: Columns = ""
    """Empty: betas where the newest version is one, else releases."""
    show: Show = "rate"
    age: Age = "equal"
    sort: str = ""
    """Name of a column, the highest first; after a minus the lowest first; empty: the usual order."""
    q: str = ""
    """Text that is in the names of the measures that are shown."""
    by: str = ""
    """The dimension that `measure` of `version` is broken down by; empty: no breakdown."""
    measure: str = ""
    version: str = ""
    """Name of a column; empty: the newest."""
    all: str = ""
    """`1`: the breakdown has all values, not only those that differ."""

    @property
    def path(self) -> str:
        """The page without its parameters."""
        return channel_path(self.application, self.channel)

    def pairs(self) -> list[tuple[str, str]]:
        """The parameters that differ from what an address without any means."""
        shown = {
            **{name: getattr(self, name) for name in _NAMES},
            "platform": PLATFORMS.get(self.platform, ""),
        }
        return [(name, value) for name, value in shown.items() if value and value != _USUAL[name]]

    def url(self, **changes: str) -> str:
        """The address of this view with `changes`; `format` may be among them, and `anchor`."""
        anchor = changes.pop("anchor", "")
        form = changes.pop("format", "")
        state = msgspec.structs.replace(self, **changes)
        pairs = [*state.pairs(), *([("format", form)] if form else [])]
        address = f"{state.path}?{urlencode(pairs)}" if pairs else state.path
        return f"{address}#{anchor}" if anchor else address


_USUAL = {field.name: field.default for field in msgspec.structs.fields(ChannelState)}


def channel_path(application: str | None, channel: str | None) -> str:
    """`/channel/<application>/<channel>`."""
    return "/channel/" + "/".join(quote(encode_part(part), safe="~") for part in (application, channel))


def channel_href(application: str | None, channel: str | None, platform: str = "") -> str:
    """The page of a channel, or of one of its platforms (a family of systems)."""
    return ChannelState(application, channel, platform).url()


def people_dimensions(registry: Registry) -> list[Dimension]:
    """The dimensions in use that tell users apart."""
    return [one for one in registry.keys if one.name not in _NO_USERS]


def read_channel_state(
    application: str, channel: str, query: Sequence[tuple[str, str]], registry: Registry
) -> ChannelState:
    """The view that path parts (already percent-decoded) and parameters ask for.

    Raises `BadRequest`: `unknown_parameter`, `repeated_parameter`, `bad_parameter`.
    """
    given = {name: value.strip() for name, value in read_once(query, (*_NAMES, "format")).items()}
    given.pop("format", None)
    for name, value in given.items():
        _refuse_odd(name, value, registry)
    if "platform" in given:
        given["platform"] = given["platform"].lower()
    if given.get("by") and not given.get("measure"):
        hint = "As in by=country&measure=main_crashes."
        raise BadRequest("bad_parameter", "A breakdown needs the `measure` to break down.", hint)
    kept = {name: value for name, value in given.items() if value}
    return ChannelState(decode_part(application), decode_part(channel), **kept)  # type: ignore[arg-type]


def _refuse_odd(name: str, value: str, registry: Registry) -> None:
    if len(value) > _LONGEST:
        raise BadRequest(
            "bad_parameter", f"`{name}` is longer than {_LONGEST} characters.", "Say it shorter."
        )
    known: dict[str, Sequence[str]] = {
        **CHOICES,
        "by": [one.name for one in people_dimensions(registry)],
        "measure": [one.name for one in registry.measures.values() if one.per],
        "platform": list(PLATFORMS.values()),
        "all": ("1",),
    }
    wanted = value.lower() if name == "platform" else value
    held = list(PLATFORMS) if name == "platform" else known.get(name, ())
    if value and name in known and wanted not in held:
        close = difflib.get_close_matches(value[:80], known[name], 1)
        hint = f"Did you mean `{close[0]}`?" if close else f"Choose one of: {', '.join(known[name][:20])}."
        raise BadRequest("bad_parameter", f"`{name}` cannot be `{value[:60]}`.", hint)
