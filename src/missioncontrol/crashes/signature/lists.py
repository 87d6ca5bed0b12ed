"""Signature lists: text files, one regular expression a line, `#` for comments.

irrelevant.txt     frames that say nothing: skipped
prefix.txt         frames that say something but not all: added, and the walk goes on
sentinels.txt      names (no expressions) at which the walk starts, whatever is above
line_numbers.txt   functions whose line number belongs to the name

Expressions match from the start of a frame's name. A file in the user's folder `<lists>/<profile>/` stands in for the
shipped one; a line `@shipped` in it means all shipped lines.
"""

from __future__ import annotations

import re
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from missioncontrol.errors import ConfigError

KINDS = ("irrelevant", "prefix", "sentinels", "line_numbers")
FIREFOX = "firefox"
GENERAL = "general"
SHIPPED_LINES = "@shipped"
_SIGGEN_NAMES = {
    "irrelevant": "irrelevant_signature_re.txt",
    "prefix": "prefix_signature_re.txt",
    "sentinels": "signature_sentinels.txt",
    "line_numbers": "signatures_with_line_numbers_re.txt",
}
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
_NEVER = "(?!)"


class ListLine(msgspec.Struct, frozen=True):
    """One line of a list, and where it was written."""

    text: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}"


class SignatureList:
    """The lines of one list as one regular expression, or as names."""

    def __init__(self, kind: str, lines: tuple[ListLine, ...]) -> None:
        self.kind = kind
        self.lines = lines
        self.names = tuple(line.text for line in lines)
        self.pattern = re.compile(_NEVER) if kind == "sentinels" else _combine(lines)

    def find(self, name: str) -> ListLine | None:
        """The first line that matches a frame's name."""
        if self.kind == "sentinels":
            return next((line for line in self.lines if line.text == name), None)
        if not self.pattern.match(name):
            return None
        return next((line for line, single in self._singles if single.match(name)), None)

    @cached_property
    def _singles(self) -> list[tuple[ListLine, re.Pattern[str]]]:
        return [(line, re.compile(line.text)) for line in self.lines]


class Lists(msgspec.Struct, frozen=True):
    """The four lists of a profile."""

    irrelevant: SignatureList
    prefix: SignatureList
    sentinels: SignatureList
    line_numbers: SignatureList


def check_profile(profile: str) -> None:
    """Raise `ConfigError` unless the name can be that of a folder of lists."""
    if not _PROFILE.match(profile):
        raise ConfigError(
            "signature_profile", f"`{profile[:80]}` is no name of a profile", "Letters, digits, _ and -."
        )


def load_lists(profile: str, lists_dir: Path | None = None, **instead: Path) -> Lists:
    """The lists of a profile; `instead` names a file for a kind that is to be read rather than the one in force.

    A profile that is not shipped starts from the lists of `general`. Raises `ConfigError` with file and line.
    """
    check_profile(profile)
    read: dict[str, SignatureList] = {}
    for kind in KINDS:
        path = instead.get(kind) or user_path(profile, kind, lists_dir)
        shipped = _shipped_lines(profile, kind)
        read[kind] = SignatureList(kind, _user_lines(path, shipped) if path else shipped)
    return Lists(**read)


def user_path(profile: str, kind: str, lists_dir: Path | None) -> Path | None:
    """The user's file for a list, if there is one."""
    path = lists_dir / profile / f"{kind}.txt" if lists_dir else None
    return path if path is not None and path.is_file() else None


def kind_of(path: Path) -> str:
    """Which list a file holds, by its name. Raises `ConfigError`."""
    if path.stem not in KINDS:
        names = ", ".join(f"{kind}.txt" for kind in KINDS)
        raise ConfigError(
            "signature_list", f"{path}: the name does not say which list it is", f"Names: {names}."
        )
    return path.stem


def _shipped_lines(profile: str, kind: str) -> tuple[ListLine, ...]:
    if profile == FIREFOX:
        source: Traversable = resources.files("siggen") / "siglists" / _SIGGEN_NAMES[kind]
        name = f"siggen/{_SIGGEN_NAMES[kind]}"
    else:
        source = resources.files("missioncontrol.crashes.signature") / "lists" / f"{kind}.txt"
        name = f"{GENERAL}/{kind}.txt"
    return _lines(source.read_text(encoding="utf-8"), name)


def _user_lines(path: Path, shipped: tuple[ListLine, ...]) -> tuple[ListLine, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("signature_list", f"{path}: {error}", "The file must be UTF-8 text.") from None
    lines: list[ListLine] = []
    for line in _lines(text, str(path)):
        lines.extend(shipped if line.text == SHIPPED_LINES else (line,))
    return tuple(lines)


def _lines(text: str, name: str) -> tuple[ListLine, ...]:
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return tuple(
        ListLine(line, name, number) for number, line in stripped if line and not line.startswith("#")
    )


def _combine(lines: tuple[ListLine, ...]) -> re.Pattern[str]:
    """One expression for all lines. No line must match everything just because a list is empty."""
    for line in lines:
        if re.search(r"\(\?P|\\[1-9]", line.text):
            raise _refusal(line, "names of groups and references to them are not possible here")
    try:
        return re.compile("|".join(f"(?:{line.text})" for line in lines) or _NEVER)
    except (re.error, OverflowError, RecursionError):
        raise _culprit(lines) from None


def _culprit(lines: tuple[ListLine, ...]) -> ConfigError:
    for line in lines:
        try:
            re.compile(f"x|(?:{line.text})")
        except (re.error, OverflowError, RecursionError) as error:
            return _refusal(line, str(error))
    return ConfigError("signature_list", "the lines are fine one by one, but not together")


def _refusal(line: ListLine, problem: str) -> ConfigError:
    hint = "Each line is a regular expression; write \\( for a bracket that is meant, (?i:...) for any case."
    return ConfigError("signature_list", f"{line.where}: `{line.text[:80]}`: {problem}", hint)
