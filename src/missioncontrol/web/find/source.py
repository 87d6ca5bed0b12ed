"""Where the search looks: what the first page, the releases, the registry and the crashes of four weeks name.

Shows nothing protected: signatures, products and ids of crashes are public. Answers come from what is kept in memory,
which is at most two minutes old; only the beginning of a crash id or of a build id asks the lake.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.query.crash_selection import Condition, Selection
from missioncontrol.web.address import DEFAULTS, SPANS, builds_path, encode_part, measure_path, range_from
from missioncontrol.web.crashes.address import signature_href
from missioncontrol.web.failing import Failing
from missioncontrol.web.find.match import Asked, Hit, Named, Way, asked_of, best, fitting
from missioncontrol.web.home.cards import Facts, drawn_measure
from missioncontrol.web.home.numbers import DAYS_SHOWN
from missioncontrol.web.home.said import pressing
from missioncontrol.web.home.view import application_title, channel_title
from missioncontrol.web.numerals import amount
from missioncontrol.web.places import PLACES
from missioncontrol.web.verdicts.view import verdict_path

if TYPE_CHECKING:
    from missioncontrol.query.crash_reports import CrashReports, Part
    from missioncontrol.registry.model import Registry
    from missioncontrol.state.release_model import Version
    from missioncontrol.web.crashes.store import CrashStore
    from missioncontrol.web.home.source import HomeSource
    from missioncontrol.web.measure.lookup import BuildRef, Lookup

SHOWN = timedelta(days=28)
"""Crashes of so long are searched for signatures."""
_MOST_SIGNATURES = 20_000
_HELD_S = 60.0
_ID_BEGINS = re.compile(r"(?=.*[a-f-])[0-9a-f][0-9a-f-]{7,}", re.IGNORECASE)
_MOST_CRASHES = 5
_BUILD_BEGINS = re.compile(r"[0-9]{8,}", re.ASCII)
"""A day, at least."""
_BUILDS_OF = timedelta(days=30)
"""As many as the page of builds lists."""
_MOST_BUILDS = 200
_WINDOW = timedelta(minutes=5)
_USUAL_RANGE = SPANS[DEFAULTS["range"]]
_LIFE = timedelta(days=DAYS_SHOWN)
Key = tuple[str | None, str | None, str | None]
"""Application, channel and version."""
_ANY = 4
"""How well a thing fits is filled in where it is looked for."""


class Finder:
    """Finds things by what somebody typed. Thread-safe; blocks."""

    def __init__(
        self,
        home: HomeSource,
        registry: Callable[[], Registry],
        store: CrashStore,
        reports: CrashReports,
        lookup: Lookup,
        now: Callable[[], datetime],
    ) -> None:
        self._home, self._registry, self._store = home, registry, store
        self._reports, self._lookup, self._now = reports, lookup, now
        self._reading = threading.Lock()
        self._failing = Failing()
        self._signatures: tuple[float, list[Part]] | None = None
        self._named: tuple[Facts, Registry, list[list[Named]]] | None = None

    def hits(self, text: str, most: int) -> list[Hit]:
        """At most `most` of each kind, the best first. Raises `TooSlow`, `BadRequest` (`query_memory`) and
        `StorageError`.
        """
        asked = asked_of(text)
        if asked is None:
            return []
        crash = self._crash(text)
        if crash is not None:
            return [crash]
        things = [*self._things(), self._further_builds(asked)]
        found = [hit for kind in things for hit in fitting(kind, asked, most)]
        return [*found, *self._fitting_signatures(asked, most), *self._crashes(text)]

    def _things(self) -> list[list[Named]]:
        facts, registry = self._home.made(self._now()).facts, self._registry()
        held = self._named
        if held is None or held[0] is not facts or held[1] is not registry:
            held = (
                facts,
                registry,
                [*versions_of(facts, registry), *declared_of(facts, registry), pages_of()],
            )
            self._named = held
        return held[2]

    def _further_builds(self, asked: Asked) -> list[Named]:
        """Builds with data of the last weeks whose id begins so, and that are no release."""
        if not _BUILD_BEGINS.fullmatch(asked.whole):
            return []
        now, registry = self._now(), self._registry()
        held = self._lookup.builds(asked.whole, now - _BUILDS_OF, now + _WINDOW)
        published = {
            (one.application, one.channel, build)
            for one in self._home.made(now).facts.versions
            for build in one.build_ids
        }
        measure = drawn_measure(registry)
        return [
            _build_of(one, registry, measure, now)
            for one in held[:_MOST_BUILDS]
            if (one.application, one.channel, one.build_id) not in published
        ]

    def _crash(self, text: str) -> Hit | None:
        """The crash with this id, in whatever form; None where it is none, or there is none."""
        try:
            known = self._store.find(text)
            self._store.crash(known, protected=False)
        except (BadRequest, NotFound):
            return None
        return Hit("crash", known, "crash report", f"/report/{known}", 0)

    def _crashes(self, text: str) -> list[Hit]:
        """Crashes of the last weeks whose id begins so."""
        begins = text.strip().lower().removeprefix("bp-")
        if not _ID_BEGINS.fullmatch(begins):
            return []
        rows = self._reports.reports(self._selection(Condition("uuid", (begins,), "begins")), _MOST_CRASHES)
        return [
            Hit(
                "crash",
                row.crash_id,
                f"{row.product or ''} {row.version or ''}".strip(),
                f"/report/{row.crash_id}",
                1,
            )
            for row in rows
        ]

    def _fitting_signatures(self, asked: Asked, most: int) -> list[Hit]:
        return [
            Hit(
                "signature", part.value or "", f"{amount(part.count)} reports in {SHOWN.days} days",
                signature_href(part.value), place,
            )
            for place, part in best(self._listed(), asked, most, lambda part: (part.value or "", ""))
        ]  # fmt: skip

    def _listed(self) -> list[Part]:
        """Signatures of the last weeks, those with most reports first."""
        with self._reading:
            held = self._signatures
            if held is None or time.monotonic() - held[0] > _HELD_S:
                with self._failing.trying():
                    found = self._reports.breakdowns(self._selection(), ["signature"], _MOST_SIGNATURES)[
                        "signature"
                    ]
                held = self._signatures = (time.monotonic(), [part for part in found if part.value])
            return held[1]

    def _selection(self, *conditions: Condition) -> Selection:
        now = self._now()
        return Selection(now - SHOWN, now, conditions=conditions)


def versions_of(facts: Facts, registry: Registry) -> list[list[Named]]:
    """Versions and builds, those with most usage first; releases without data after them, the newest first."""
    usage: dict[Key, float] = {}
    for place, field in facts.numbers.items():
        for version, sums in field.totals().items():
            key = (place.application, place.channel, version)
            usage[key] = usage.get(key, 0.0) + sums.hours + sums.reports / 1e6
    for one in reversed(facts.versions):
        usage.setdefault((one.application, one.channel, one.version), 0.0)
    measure = drawn_measure(registry)
    ranges = _ranges_of(facts)
    # Of the verdicts on a version the one that presses, else that on its crashes; the last of a key stays.
    ordered = sorted(facts.accounts, key=lambda a: (not pressing(a), a.subject.measure != measure))
    judged = {
        (a.subject.application, a.subject.channel, a.subject.version): verdict_path(a.subject)
        for a in reversed(ordered)
    }
    versions = []
    for key in sorted(usage, key=lambda key: -usage[key]):
        application, channel, version = key
        if version is None:
            continue
        place_title = f"{application_title(application, registry)} {channel_title(channel)}"
        asked = {"series": encode_part(version), **ranges.get(key, {})}
        drawn = f"{measure_path(application, channel, measure)}?{urlencode(asked)}"
        verdict = judged.get((application or "", channel or "", version))
        ways = (
            *((Way("Over time", drawn),) if verdict else ()),
            Way("Releases", "/releases?" + _channel_query(application, channel)),
            Way(
                "Top crashers",
                "/topcrashers?" + urlencode({"product": application or "", "version": version}),
            ),
        )
        hit = Hit("version", version, place_title, verdict or drawn, _ANY, ways)
        versions.append(Named(version, f"{place_title} {application or ''}", hit))
    return [versions, _builds(facts, registry, measure)]


def _builds(facts: Facts, registry: Registry, measure: str) -> list[Named]:
    found = []
    for one in reversed(facts.versions):
        where = f"{one.version}, {application_title(one.application, registry)} {channel_title(one.channel)}"
        path = measure_path(one.application, one.channel, measure)
        for build in one.build_ids:
            if build:
                asked = {"group": "build_id", "series": encode_part(build), **_range_of_life(one, facts.end)}
                found.append(Named(build, "", Hit("build", build, where, f"{path}?{urlencode(asked)}", _ANY)))
    return found


def _build_of(one: BuildRef, registry: Registry, measure: str, now: datetime) -> Named:
    where = f"{application_title(one.application, registry)} {channel_title(one.channel)}"
    first = datetime(one.first.year, one.first.month, one.first.day, tzinfo=UTC)
    asked = {"group": "build_id", "series": encode_part(one.build_id), **range_from(first, _LIFE, now)}
    ways = (Way("Builds day by day", builds_path(one.application, one.channel)),)
    href = f"{measure_path(one.application, one.channel, measure)}?{urlencode(asked)}"
    return Named(one.build_id, "", Hit("build", one.build_id, where, href, _ANY, ways))


def _ranges_of(facts: Facts) -> dict[Key, dict[str, str]]:
    """Which range of a page each version has data in, as parameters; none: that of a page without any."""
    found: dict[Key, dict[str, str]] = {
        (one.application, one.channel, one.version): _range_of_life(one, facts.end) for one in facts.versions
    }
    if facts.end is None:
        return found
    last: dict[Key, int] = {}
    for place, field in facts.numbers.items():
        for piece in field.shown:
            for version, line in piece.lines.items():
                key = (place.application, place.channel, version)
                last[key] = max(last.get(key, 0), line.last_s)
    usual_s = (facts.end - _USUAL_RANGE).timestamp()
    return found | {key: {} if last_s > usual_s else {"range": "14d"} for key, last_s in last.items()}


def _range_of_life(version: Version, end: datetime | None) -> dict[str, str]:
    """The first weeks of a version, if it has no data of the last days."""
    if end is None or end - version.published_at < _USUAL_RANGE:
        return {}
    return range_from(version.published_at, _LIFE, end)


def declared_of(facts: Facts, registry: Registry) -> list[list[Named]]:
    """Measures, dimensions, applications and channels."""
    measures = [
        Named(
            m.name, m.title,
            Hit("measure", m.title, m.name, f"/measure?{urlencode({'measure': m.name})}", _ANY,
                (Way("Where it comes from", f"/registry/{m.name}"),)),
        )
        for m in registry.measures.values()
    ]  # fmt: skip
    dimensions = [
        Named(d.name, d.title, Hit("dimension", d.title, d.name, f"/registry/{d.name}", _ANY))
        for d in registry.dimensions.values()
    ]
    return [measures, dimensions, list(_applications(facts, registry))]


def _applications(facts: Facts, registry: Registry) -> Iterable[Named]:
    channels: dict[str | None, dict[str | None, None]] = {}
    for place in facts.numbers:
        channels.setdefault(place.application, {})[place.channel] = None
    for one in facts.versions:
        channels.setdefault(one.application, {})[one.channel] = None
    for application, own in channels.items():
        title, name = application_title(application, registry), application or ""
        href = f"/?{urlencode({'application': encode_part(application)})}"
        where = f"{len(own)} channel{'s' if len(own) != 1 else ''}"
        yield Named(name, title, Hit("application", title, where, href, _ANY))
        for channel in own:
            words = f"{title} {channel_title(channel)}"
            href = "/?" + _channel_query(application, channel)
            yield Named(f"{name} {channel or ''}", words, Hit("application", words, "channel", href, _ANY))


def _channel_query(application: str | None, channel: str | None) -> str:
    return urlencode({"application": encode_part(application), "channel": encode_part(channel)})


def pages_of() -> list[Named]:
    """The pages of the navigation."""
    return [
        Named(p.title, f"{p.title} {p.words}", Hit("page", p.title, p.href, p.href, _ANY)) for p in PLACES
    ]
