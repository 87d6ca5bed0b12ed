"""Addresses of the pages of crashes: a page's whole state is in its query, and comes back out of it.

Pure. What a reader mistyped is refused by name; what is not known is not silently left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from urllib.parse import urlencode

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.ingest.crash.annotations import PROCESSES
from missioncontrol.query.crash_selection import EMPTY, By, Condition, How, Selection
from missioncontrol.web.address import decode_part, encode_part

DAYS = (1, 3, 7, 14, 28)
MOST_DAYS = 366
TEXT_FIELDS = {
    "reason": "Reason",
    "address": "Address",
    "os_pretty_version": "System",
    "cpu_arch": "Architecture",
    "build": "Build",
    "vendor": "Vendor",
    "moz_crash_reason": "Crash reason",
    "abort_message": "Abort message",
    "topmost_filenames": "Source file",
    "proto_signature": "Frames (proto signature)",
    "crashing_thread_name": "Thread",
    "modules_in_stack": "Module in the stack",
}
"""What the search form can look for in, beside its own fields."""
_MENUS = {"process": "process_type", "os": "os_name", "channel": "release_channel"}
_PROCESS_TITLES = {"content": "content (renderer)", "parent": "parent (browser)"}
_LONGEST = 1000
_MINUTE = timedelta(minutes=1)
Pairs = Sequence[tuple[str, str]]
Operator = Literal["contains", "is"]


class CrashState(msgspec.Struct, frozen=True):
    """What a page of crashes is asked for."""

    path: str
    product: str = ""
    versions: tuple[str, ...] = ()
    process: str = ""
    os: str = ""
    channel: str = ""
    days: int = 7
    start: date | None = None
    """With `end`: these days (inclusive) instead of the last ones."""
    end: date | None = None
    by: By = "report"
    weighted: bool = False
    signature: str | None = ""
    """None: the crashes that have none. Empty: any."""
    contains: str = ""
    """Part of the signature."""
    empty: bool = False
    """Only crashes whose signature says that there is none: `EMPTY: ...`."""
    field: str = ""
    text: str = ""
    operator: Operator = "contains"
    facet: str = ""
    page: int = 1

    def pairs(self) -> list[tuple[str, str]]:
        """The query, without what is usual."""
        versions = [("version", v) for v in self.versions]
        plain = {
            n: getattr(self, n) for n in ("process", "os", "channel", "contains", "field", "text", "facet")
        }
        found = [
            ("signature", "" if self.signature == "" else encode_part(self.signature)),
            ("product", self.product), *versions, *plain.items(),
            ("operator", self.operator if self.text and self.operator != "contains" else ""),
            ("days", "" if self.days == 7 or self.start else str(self.days)),
            ("start", str(self.start or "")), ("end", str(self.end or "")),
            ("empty", "1" if self.empty else ""),
            ("by", self.by if self.by != "report" else ""), ("weighted", "1" if self.weighted else ""),
            ("page", str(self.page) if self.page > 1 else ""),
        ]  # fmt: skip
        return [(name, value) for name, value in found if value]

    def url(self, **changes: object) -> str:
        """The address with these changes; back to the first page unless `page` is one of them."""
        state = msgspec.structs.replace(self, **{"page": 1, **changes})
        pairs = urlencode(state.pairs())
        return f"{state.path}?{pairs}" if pairs else state.path

    def twin(self, format: str) -> str:
        """Address of the same as `csv` or `json`."""
        return f"{self.path}?{urlencode([*self.pairs(), ('format', format)])}"

    def selection(self, now: datetime) -> Selection:
        """The crashes that it is about. Builds are counted by whole days."""
        start, end = self._span(now)
        return Selection(start, end, self.by, self._conditions(), self.versions, self.weighted)

    def _span(self, now: datetime) -> tuple[datetime, datetime]:
        if self.start and self.end:
            return _midnight(self.start), _midnight(self.end + timedelta(days=1))
        if self.by == "build":
            end = _midnight(now.date() + timedelta(days=1))
            return end - timedelta(days=self.days), end
        end = whole_minute(now)
        return end - timedelta(days=self.days), end

    def _conditions(self) -> tuple[Condition, ...]:
        exact = {"product": self.product, **{column: getattr(self, n) for n, column in _MENUS.items()}}
        found = [Condition(column, (value,)) for column, value in exact.items() if value]
        if self.signature is None:
            found.append(Condition("signature", (), "null"))
        elif self.signature:
            found.append(Condition("signature", (self.signature,)))
        if self.contains:
            found.append(Condition("signature", (self.contains,), "contains"))
        if self.empty:
            found.append(Condition("signature", (EMPTY,), "begins"))
        if self.field and self.text:
            how: How = "is" if self.operator == "is" else "contains"
            found.append(Condition(self.field, (self.text,), how))
        return tuple(found)


def whole_minute(now: datetime) -> datetime:
    """The end of the minute: what is asked for again within it, and of the same reports, has the same answer."""
    return now + (_MINUTE - timedelta(seconds=now.second, microseconds=now.microsecond)) % _MINUTE


def process_title(kind: str | None) -> str:
    """A kind of process, with the other name that some know it by."""
    return _PROCESS_TITLES.get(kind or "", kind or "")


def system_version(version: str | None) -> str:
    """Version of a system without the build of a Linux kernel: `6.1.0-18 #1 SMP ...` is `6.1.0-18`."""
    return (version or "").split(" ")[0]


def signature_href(signature: str | None, product: str = "", **more: str) -> str:
    """Address of a signature's page; without a signature that of all crashes that have none."""
    pairs = {"signature": encode_part(signature), "product": product, **more}
    return "/signature?" + urlencode({k: v for k, v in pairs.items() if v})


def read_crash_state(path: str, pairs: Pairs) -> CrashState:
    """The state that an address asks for; raises `BadRequest` naming the parameter that is wrong or unknown."""
    _refuse_unknown(pairs)
    asked = {name: value.strip()[:_LONGEST] for name, value in pairs}
    versions = [v.strip() for name, value in pairs if name == "version" for v in value.split(",")]
    start, end = _day("start", asked), _day("end", asked)
    if start and end and (end < start or (end - start).days >= MOST_DAYS):
        raise BadRequest(
            "bad_time", f"From {start} to {end} are not 1 to {MOST_DAYS} days.", "Swap or shorten it."
        )
    field = _choice("field", asked, ("", *TEXT_FIELDS))
    return CrashState(
        path,
        asked.get("product", ""),
        tuple(dict.fromkeys(v[:100] for v in versions if v))[:20],
        PROCESSES.get(asked.get("process", ""), asked.get("process", "")),
        asked.get("os", ""),
        asked.get("channel", ""),
        _number("days", asked, 7, MOST_DAYS),
        start or (end and end - timedelta(days=6)),
        end or (start and start + timedelta(days=6)),
        "build" if _choice("by", asked, ("", "report", "build")) == "build" else "report",
        _choice("weighted", asked, ("", "0", "1")) == "1",
        decode_part(asked["signature"]) if asked.get("signature") else "",
        asked.get("contains", ""),
        _choice("empty", asked, ("", "0", "1")) == "1",
        field,
        asked.get("text", ""),
        "is" if _choice("operator", asked, ("", "contains", "is")) == "is" else "contains",
        asked.get("facet", ""),
        _number("page", asked, 1, 10_000),
    )


def _refuse_unknown(pairs: Pairs) -> None:
    known = {"format", "version", *CrashState.__struct_fields__} - {"path", "versions"}
    once: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            hint = "Known: " + ", ".join(sorted(known)) + ". /api/SuperSearch/ takes any field."
            raise BadRequest("unknown_parameter", f"This page has no parameter `{name[:60]}`.", hint)
        if name != "version" and once.setdefault(name, value) != value:
            raise BadRequest("bad_parameter", f"`{name}` can have one value here.", "Take the others away.")


def _choice(name: str, asked: dict[str, str], known: Sequence[str]) -> str:
    value = asked.get(name, "")
    if value not in known:
        hint = f"Known: {', '.join(k for k in known if k)}."
        raise BadRequest("bad_parameter", f"`{name}` cannot be `{value[:60]}`.", hint)
    return value


def _number(name: str, asked: dict[str, str], usual: int, most: int) -> int:
    text = asked.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= most):
        raise BadRequest("bad_parameter", f"`{name}` must be a number from 1 to {most:,}, not `{text[:60]}`.")
    return int(text)


def _day(name: str, asked: dict[str, str]) -> date | None:
    text = asked.get(name, "")
    if not text:
        return None
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        day = date.min
    if not date(1990, 1, 1) <= day <= date(2999, 1, 1):
        raise BadRequest("bad_time", f"`{name}` must be a day as 2026-01-31, not `{text[:60]}`.")
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
