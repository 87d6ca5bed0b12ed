"""The view of one crash report: facts, stacks, modules with what they lack, and annotations with their meaning.

Shows what it is given: whoever calls has cut the crash down to what its reader may see. Asks nothing but which symbols
have arrived since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from missioncontrol.crashes.fields import Field, Fields
from missioncontrol.crashes.fields.model import COLLECTED
from missioncontrol.crashes.processing.reading import integer_at, object_at, objects_at, text_at
from missioncontrol.crashes.symbols.folders import SymbolFolders
from missioncontrol.web.crashes.address import process_title, signature_href, system_version
from missioncontrol.web.crashes.frames import SourceLinks, Thread, links_of, registers_of, threads_of
from missioncontrol.web.crashes.modules import ModuleLine, modules_of, stack_order, worst_first
from missioncontrol.web.crashes.store import File, Standing, StoredCrash

_LONG_TEXT = 200
_MOST_TEXT = 20_000
_MOST_MODULES = 500


class Fact(msgspec.Struct, frozen=True):
    """A line of the summary."""

    label: str
    value: str
    note: str = ""
    href: str = ""
    protected: bool = False
    at: datetime | None = None
    """The value, where it is a time."""


class Annotation(msgspec.Struct, frozen=True):
    """What the client sent under one name."""

    name: str
    value: str
    description: str
    protected: bool
    declared: bool

    @property
    def long(self) -> bool:
        """Whether it is better folded."""
        return len(self.value) > _LONG_TEXT or self.value.count("\n") > 3


class ReportView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    crash_id: str
    signature: str | None
    signature_href: str
    product: str
    channel: str
    version: str
    title: str
    """Product and version."""
    facts: list[Fact]
    notes: list[str]
    threads: list[Thread]
    registers: list[tuple[str, str]]
    modules: list[ModuleLine]
    other_modules: list[ModuleLine]
    """Those that no frame of the crashing thread is in; what lacks symbols comes first."""
    annotations: list[Annotation]
    files: list[File]
    standing: Standing
    java: str
    problem: str
    """Why there is no stack."""
    protected: bool
    raw_kept: bool


def build_report(
    crash: StoredCrash, fields: Fields, templates: Mapping[str, str], folders: SymbolFolders | None = None
) -> ReportView:
    """The view of a processed crash; `folders` tell which symbols have arrived since."""
    document = crash.processed or {}
    links = links_of(document, templates)
    threads = threads_of(document, links)
    modules = modules_of(document, folders)
    shown = [m for m in modules if m.on_stack]
    signature = text_at(document, "signature") or None
    product = text_at(document, "product")
    return ReportView(
        crash_id=crash.crash_id,
        signature=signature,
        signature_href=signature_href(signature, product),
        product=product,
        channel=text_at(document, "release_channel"),
        version=text_at(document, "version"),
        title=" ".join(t for t in (product, text_at(document, "version")) if t) or "Unknown product",
        facts=_facts(document, links),
        notes=_notes(document),
        threads=threads,
        registers=registers_of(document),
        modules=sorted(shown, key=stack_order),
        other_modules=sorted((m for m in modules if not m.on_stack), key=worst_first)[:_MOST_MODULES],
        annotations=annotations_of(crash.raw or {}, fields),
        files=crash.files,
        standing=crash.standing,
        java=_java(document),
        problem="" if any(t.lines for t in threads) else _problem(document),
        protected=crash.protected,
        raw_kept=crash.raw is not None,
    )


def annotations_of(raw: Mapping[str, Any], fields: Fields) -> list[Annotation]:
    """What the client sent, by name; those that nobody declared are protected and come last."""
    declared = {name: field for field in fields for name in field.annotation}
    public = fields.raw_public(raw)
    found = [
        _annotation(name, value, declared.get(name), name not in public)
        for name, value in raw.items()
        if name not in COLLECTED and name != "metadata"
    ]
    return sorted(found, key=lambda a: (not a.declared, a.name.lower()))


def _annotation(name: str, value: Any, field: Field | None, protected: bool) -> Annotation:
    text = _text(value)
    if len(text) > _MOST_TEXT:
        text = f"{text[:_MOST_TEXT]} … ({len(text):,} characters)"
    return Annotation(name, text, field.description if field else "", protected, field is not None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")


_FACTS = (
    ("Channel", "release_channel"), ("Build", "build"), ("Vendor", "vendor"), ("Reason", "reason"),
    ("Address", "address"), ("Crash reason", "moz_crash_reason"), ("Abort message", "abort_message"),
    ("Kind of report", "report_type"),
)  # fmt: skip
_PRIVATE = (("URL", "url"), ("Comments", "user_comments"), ("E-mail", "email"))


def _facts(document: Mapping[str, Any], links: SourceLinks) -> list[Fact]:
    facts = [
        Fact("Product", text_at(document, "product")),
        Fact("Version", text_at(document, "version")),
        *(Fact(label, _plain(document.get(name))) for label, name in _FACTS),
        Fact("Process", process_title(text_at(document, "process_type"))),
        Fact("Framework", _framework(document)),
        _top_source(document, links),
        Fact("System", _system(document)),
        Fact("Processor", _processor(document)),
        _moment("Received", text_at(document, "date_processed")),
        _moment("Crashed", text_at(document, "client_crash_date"), "by the client's clock"),
        Fact("Uptime", _span(document.get("uptime")), "from the start of the program to the crash"),
        Fact("Installed before", _span(document.get("install_age"))),
        Fact("Crash before", _span(document.get("last_crash")), "since this installation crashed last"),
        Fact(
            "Out of memory", _size(document.get("oom_allocation_size")), "size of the allocation that failed"
        ),
        Fact("While starting", _yes(document.get("startup_crash"))),
        Fact("While collecting garbage", _yes(document.get("is_garbage_collecting"))),
        *(Fact(label, _plain(document.get(name)), protected=True) for label, name in _PRIVATE),
        Fact("Kept by rule", _throttle(document)),
        _moment("Processed", text_at(document, "completed_datetime")),
    ]
    return [fact for fact in facts if fact.value]


def _top_source(document: Mapping[str, Any], links: SourceLinks) -> Fact:
    """The first source line of the crashing thread."""
    frames = objects_at(document, "json_dump", "crashing_thread", "frames")
    for frame in frames[:40]:
        for one in (*objects_at(frame, "inlines"), frame):
            if file := text_at(one, "file"):
                line = integer_at(one, "line")
                shown, href = links.link(file, line)
                return Fact("Source", f"{shown}:{line}" if line else shown, href=href)
    return Fact("Source", "")


def _system(document: Mapping[str, Any]) -> str:
    name, pretty, version = (text_at(document, n) for n in ("os_name", "os_pretty_version", "os_version"))
    shown = system_version(version) if name == "Linux" else version
    return " ".join(t for t in (pretty or name, shown if shown != pretty else "") if t)


def _framework(document: Mapping[str, Any]) -> str:
    """Of an Electron application `Electron 33.2.0`."""
    name, version = text_at(document, "handler_product"), text_at(document, "platform_version")
    return f"{name} {version}".strip() if version and name != text_at(document, "product") else ""


def _processor(document: Mapping[str, Any]) -> str:
    count = integer_at(document, "cpu_count")
    cores = f"{count} core{'s' if count != 1 else ''}" if count else ""
    return ", ".join(t for t in (text_at(document, "cpu_arch"), text_at(document, "cpu_info"), cores) if t)


def _throttle(document: Mapping[str, Any]) -> str:
    rule, rate = text_at(document, "throttle_rule"), document.get("throttle_rate")
    if isinstance(rate, int | float) and 0 < rate < 1:
        return f"{rule}, which keeps {rate:.0%} of such reports: it stands for {1 / rate:.0f}"
    return rule


def _plain(value: Any) -> str:
    return "" if value is None else _text(value)


def _yes(value: Any) -> str:
    return "yes" if value is True else ""


def _moment(label: str, text: str, note: str = "") -> Fact:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return Fact(label, "")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Fact(label, f"{at:%Y-%m-%d %H:%M:%S} UTC", note, at=at)


def _span(value: Any) -> str:
    """`3 min 20 s`, `2 days 4 h`: two units."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:
        return ""
    left = int(value)
    parts: list[str] = []
    for unit, length_s in (("days", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= length_s or (unit == "s" and not parts):
            count, left = divmod(left, length_s)
            parts.append(f"{count:,} {'day' if unit == 'days' and count == 1 else unit}")
    return " ".join(parts[:2])


def _size(value: Any) -> str:
    return f"{value:,} bytes" if isinstance(value, int) and not isinstance(value, bool) and value > 0 else ""


def _notes(document: Mapping[str, Any]) -> list[str]:
    notes = text_at(document, "processor_notes").splitlines()
    collector = document.get("collector_notes")
    more = collector if isinstance(collector, list) else []
    return [*(n for n in notes if n.strip()), *(n for n in more if isinstance(n, str))]


def _java(document: Mapping[str, Any]) -> str:
    return (text_at(document, "java_stack_trace_raw") or text_at(document, "java_stack_trace"))[:_MOST_TEXT]


_PROBLEMS = {
    "": "The report has no dump to walk: a client may send annotations alone.",
    "OK": "The dump holds no stack.",
    "DumpGone": "The dump was deleted before the crash was processed.",
    "EmptyMinidump": "The dump that was sent is empty.",
    "MissingThreadList": "The dump has no list of threads, so there is nothing to walk.",
}


def _problem(document: Mapping[str, Any]) -> str:
    status = text_at(document, "mdsw_status_string")
    return _PROBLEMS.get(status, f"The dump could not be walked: {status}.")


def waiting_facts(raw: Mapping[str, Any], now: datetime) -> list[Fact]:
    """What is known of a crash before it is processed."""
    sent = text_at(raw, "submitted_timestamp")
    size = integer_at(object_at(raw, "metadata"), "payload_size")
    facts = [
        Fact("Product", text_at(raw, "ProductName")),
        Fact("Version", text_at(raw, "Version")),
        Fact("Channel", text_at(raw, "ReleaseChannel")),
        Fact("Build", text_at(raw, "BuildID")),
        _moment("Received", sent, _age(sent, now)),
        Fact("Size as sent", f"{size:,} bytes" if size else ""),
    ]
    return [fact for fact in facts if fact.value]


def _age(sent: str, now: datetime) -> str:
    try:
        age: timedelta = now - datetime.fromisoformat(sent)
    except (ValueError, TypeError):
        return ""
    return f"{_span(max(0, int(age.total_seconds())) // 60 * 60)} ago" if age >= timedelta(minutes=1) else ""
