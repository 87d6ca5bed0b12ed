"""Bug trackers: what a reader calls a bug, the bug's address, and the form that files a new one.

Pure. Knows of trackers what their templates of addresses say; never asks one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import msgspec

from missioncontrol.config import BugTracker
from missioncontrol.errors import BadRequest, ConfigError

PLACEHOLDERS = ("title", "body", "signature", "product", "version", "crash_id", "report", "frames")
"""What the address of a form may be filled in with."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_LONGEST_URL = 2000
_LONGEST_LABEL = 80
_LONGEST_TEXT = 255
_LONGEST_FRAMES = 2000


class BugRef(msgspec.Struct, frozen=True):
    """A bug."""

    tracker: str
    """Its tracker's name in the settings; empty: `bug` is an address."""
    bug: str
    """Its id there: `1234567`, `NOTES-12`."""


class NewBug(msgspec.Struct, frozen=True):
    """What a new bug is told of a crash. Nothing protected may be in it: it goes to another server."""

    signature: str
    product: str = ""
    version: str = ""
    crash_id: str = ""
    report: str = ""
    """Address of the crash."""
    frames: tuple[str, ...] = ()
    """The top of the crashing thread."""


class BugTrackers:
    """The trackers of an installation, by name."""

    def __init__(self, trackers: Mapping[str, BugTracker]) -> None:
        """Raises `ConfigError` (`bug_tracker_invalid`)."""
        for name, tracker in trackers.items():
            _check(name, tracker)
        self._trackers = trackers

    @property
    def names(self) -> list[str]:
        """The names of the trackers, as they stand in the settings."""
        return list(self._trackers)

    @property
    def files_new(self) -> bool:
        """Whether one of them has a form for new bugs."""
        return any(tracker.new for tracker in self._trackers.values())

    def read(self, text: str) -> BugRef:
        """The bug that somebody means by `1234567`, `bugzilla:1234567` or an address; raises `BadRequest` (`bad_bug`).

        An address that one of the trackers gives its bugs is that tracker's bug.
        """
        text = text.strip()
        if "://" in text:
            return self._of_url(text)
        name, colon, bug = text.rpartition(":")
        if colon and name not in self._trackers:
            raise self._refusal(f"There is no tracker {name[:40]!r}.")
        bug = bug.strip().removeprefix("#")
        if not _ID.fullmatch(bug):
            raise self._refusal(f"{text[:80]!r} is no bug.")
        if not name:
            if len(self._trackers) != 1:
                raise self._refusal(f"Which tracker's bug is {bug}?")
            name = next(iter(self._trackers))
        return BugRef(name, bug)

    def url(self, bug: BugRef) -> str:
        """The bug's address; empty when its tracker is no longer in the settings."""
        if not bug.tracker:
            return bug.bug
        tracker = self._trackers.get(bug.tracker)
        return tracker.url.replace("{id}", quote(bug.bug, safe="")) if tracker else ""

    def label(self, bug: BugRef) -> str:
        """What it is called: `bugzilla 1234567`, or the beginning and the end of its address."""
        if bug.tracker:
            return f"{bug.tracker} {bug.bug}"
        host, _, path = bug.bug.partition("://")[2].rstrip("/").partition("/")
        return "/".join([host, *(["…"] if "/" in path else []), path.rpartition("/")[2]])[:_LONGEST_LABEL]

    def new_bug_urls(self, told: NewBug) -> dict[str, str]:
        """By tracker the address of its form, filled in; of those that have one."""
        values = _values(told)

        def filled(template: str) -> str:
            return _PLACEHOLDER.sub(lambda m: quote(values[m[1]], safe=""), template)

        return {name: filled(tracker.new) for name, tracker in self._trackers.items() if tracker.new}

    def _of_url(self, url: str) -> BugRef:
        for name, tracker in self._trackers.items():
            before, _, after = tracker.url.partition("{id}")
            pattern = f"{re.escape(before)}([^/?#&]+){re.escape(after)}(?:[#?&/].*)?"
            found = re.fullmatch(pattern, url)
            if found and _ID.fullmatch(unquote(found[1])):
                return BugRef(name, unquote(found[1]))
        if not _is_plain_url(url):
            raise self._refusal(f"{url[:80]!r} is no address of a bug.")
        return BugRef("", url)

    def _refusal(self, message: str) -> BadRequest:
        if self._trackers:
            some = next(iter(self._trackers))
            hint = f"As in `{some}:1234`, or its whole address. Trackers: {', '.join(self._trackers)}."
        else:
            hint = "Give its whole address, https://..., or set trackers: `[crashes.bug_trackers.NAME]`."
        return BadRequest("bad_bug", message, hint)


def _check(name: str, tracker: BugTracker) -> None:
    where = f"crashes.bug_trackers.{name[:40]}"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "bug_tracker_invalid", f"{where}: no name of a tracker.", "Letters, digits, _ and -."
        )
    if _PLACEHOLDER.findall(tracker.url) != ["id"] or not _is_plain_url(tracker.url.replace("{id}", "1")):
        hint = "As in https://bugs.example.com/show_bug.cgi?id={id}: {id} once, and nothing else in braces."
        raise ConfigError("bug_tracker_invalid", f"{where}.url: {tracker.url[:200]!r} is no template.", hint)
    unknown = [word for word in _PLACEHOLDER.findall(tracker.new) if word not in PLACEHOLDERS]
    if unknown or (tracker.new and not _is_plain_url(_PLACEHOLDER.sub("x", tracker.new))):
        hint = f"An address with any of {', '.join(f'{{{word}}}' for word in PLACEHOLDERS)}."
        raise ConfigError("bug_tracker_invalid", f"{where}.new: {tracker.new[:200]!r} is no template.", hint)


def _is_plain_url(url: str) -> bool:
    """Whether it is an address of a page, and nothing that a browser could take for something else."""
    if len(url) > _LONGEST_URL or not url.isprintable() or re.search(r"[\s<>\"\\{}]", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False


def _values(told: NewBug) -> dict[str, str]:
    """What each placeholder stands for: no more than fits into an address that servers take."""
    plain = {
        name: getattr(told, name)[:_LONGEST_TEXT]
        for name in ("signature", "product", "version", "crash_id", "report")
    }
    frames = ""
    for number, frame in enumerate(told.frames):
        line = f"{number}  {frame[:_LONGEST_TEXT]}\n"
        if len(frames) + len(line) > _LONGEST_FRAMES:
            break
        frames += line
    product = " ".join(part for part in (plain["product"], plain["version"]) if part)
    body = [
        f"Crash: {plain['report'] or plain['crash_id']}" if plain["crash_id"] else "",
        f"Product: {product}" if product else "",
        f"Signature: {plain['signature']}",
        f"\nTop frames of the crashing thread:\n{frames}" if frames else "",
    ]
    return {
        **plain,
        "frames": frames,
        "title": f"Crash in {plain['signature']}",
        "body": "\n".join(line for line in body if line),
    }
