"""What goes into processing, what comes out, and the crash that the rules work on in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from missioncontrol.crashes.fields import Fields
from missioncontrol.crashes.signature import Signatures
from missioncontrol.crashes.signature.lists import FIREFOX, GENERAL

MAIN_DUMP = "upload_file_minidump"
SYMBOL_STATUS = "symbol_status"
"""Key of a module of the dump: what became of its symbols, in the walker's words."""
MOZILLA_PRODUCTS: Mapping[str, str] = dict.fromkeys(
    ("Firefox", "Firefox Enterprise", "Fenix", "Focus", "ReferenceBrowser", "Thunderbird", "MozillaVPN"),
    FIREFOX,
)
_NOTES_LIMIT = 100
_READ_LIMIT = 1_000_000

ReleaseVersion = Callable[[str, str, str], str | None]
"""Looks up (product, channel, build id) and gives the version as it was published, or None."""


class Walked(msgspec.Struct, frozen=True):
    """What the stackwalker gave for one dump: its JSON, or why there is none."""

    state: dict[str, Any] | None = None
    error: str = ""
    """One word, as in `MissingThreadList`; empty when the dump was walked."""
    detail: str = ""
    symbols: Mapping[tuple[str, str], str] = {}
    """What became of the symbols of each module that was met, by (file name, debug id)."""


class Processed(msgspec.Struct, frozen=True):
    """A processed crash: the document with Socorro's field names, its signature, and what was noted."""

    document: dict[str, Any]
    signature: str
    notes: tuple[str, ...]


class Settings(msgspec.Struct, frozen=True):
    """What an installation decides."""

    fields: Fields
    signatures: Signatures
    profiles: Mapping[str, str] = msgspec.field(default_factory=lambda: MOZILLA_PRODUCTS)
    """Profile by product; `default` for all others."""
    release_version: ReleaseVersion | None = None
    rule_timeout_s: float = 20.0
    """A rule that takes longer (by the user's signature lists, say) is given up."""

    def profile(self, product: object) -> str:
        """The profile of a product."""
        default = self.profiles.get("default", GENERAL)
        return self.profiles.get(product, default) if isinstance(product, str) else default


class Crash:
    """A crash while the rules run over it: they read `raw` and `walked`, and write `document` and notes."""

    def __init__(
        self,
        raw: Mapping[str, Any],
        walked: Mapping[str, Walked],
        settings: Settings,
        processed_at: datetime,
        memory_report: bytes | None = None,
    ) -> None:
        self.raw: dict[str, Any] = dict(raw)
        self.walked = walked
        self.settings = settings
        self.processed_at = processed_at
        self.memory_report = memory_report
        self.document: dict[str, Any] = {}
        self._notes: list[str] = []

    def note(self, text: str) -> None:
        """Note something that everyone may read."""
        self._notes.append(text)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes so far; of very many, the first."""
        if len(self._notes) <= _NOTES_LIMIT:
            return tuple(self._notes)
        return (*self._notes[:_NOTES_LIMIT], f"and {len(self._notes) - _NOTES_LIMIT} notes more")

    @property
    def profile(self) -> str:
        """The profile of its product."""
        return self.settings.profile(self.document.get("product"))

    def text(self, name: str) -> str:
        """A text of the document; empty when it has none."""
        value = self.document.get(name)
        return value if isinstance(value, str) else ""

    def annotation(self, name: str) -> str:
        """An annotation as text, no more of it than a rule should read; empty when there is none."""
        value = self.raw.get(name)
        return value[:_READ_LIMIT] if isinstance(value, str) else ""

    @property
    def dump(self) -> dict[str, Any]:
        """The stackwalker's JSON of the main dump; empty when there is none."""
        value = self.document.get("json_dump")
        return value if isinstance(value, dict) else {}
