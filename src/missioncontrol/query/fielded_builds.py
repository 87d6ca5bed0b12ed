"""Which builds are in the field, since when and until when, by what arrived of them.

Reads error_aggregates (the whole population, no experiments) and the imported releases. A build is told apart by all
that makes it one: application, channel, operating system, version and build id as pings have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.query import dialect
from missioncontrol.query.day_files import newest_window
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span
from missioncontrol.query.statement import Parameter
from missioncontrol.query.summary_scope import USAGE, Choice, Combination, platform_of
from missioncontrol.query.versions import is_version, version_key

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release

TABLE = "error_aggregates"
KEYS = ("application", "channel", "os_name", "version", "build_id")
LOOK_BACK = timedelta(days=200)
"""How far before the newest window anything is looked at; the predecessor deleted what was older."""
DAY = timedelta(hours=24)

_KNOWN_NAMES = 50_000


class Build(msgspec.Struct, frozen=True):
    """One build on one operating system. Windows are given by their start, in microseconds since the epoch."""

    application: str
    channel: str
    os_name: str | None
    version: str
    build_id: str | None
    first_us: int
    last_us: int
    recent_hours: float = 0.0
    """Usage hours in the last day of all data."""
    name: str = ""
    """The version as people call it: of a beta with its number, which pings have apart from the version."""

    @property
    def combination(self) -> Combination:
        """What it counts for."""
        return Combination(self.application.lower(), self.channel.lower(), platform_of(self.os_name))


class BuildSpan(msgspec.Struct, frozen=True):
    """The windows of a build that count for group number `group`; both ends are included."""

    build: Build
    group: int
    first_us: int
    last_us: int


class FieldedBuilds:
    """Finds builds. Keeps what builds are called, which never changes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._display: dict[tuple[str, str, str | None], str] = {}

    def newest(self) -> datetime | None:
        """Start of the newest window of all data."""
        return newest_window(self._engine)

    def find(self, choice: Choice, releases: Iterable[Release], span: Span | None = None) -> list[Build]:
        """The builds of the choice with data in `span` (by default `LOOK_BACK`), whose version is one."""
        newest = self.newest()
        if newest is None:
            return []
        span = span or Span(first=newest - LOOK_BACK)
        conditions = self._conditions(choice, span)
        if conditions is None:
            return []
        last_day = Span(newest - DAY + timedelta(seconds=WINDOW_S))
        hours = self._grouped(f"sum({USAGE})", conditions, last_day)
        recent = {tuple(row[: len(KEYS)]): row[-1] or 0.0 for row in hours}
        extents = self._grouped("epoch_us(min(window_start)), epoch_us(max(window_start))", conditions, span)
        found = [
            Build(application, channel, os_name, version, build_id, first_us, last_us,
                  recent.get((application, channel, os_name, version, build_id), 0.0))
            for application, channel, os_name, version, build_id, first_us, last_us in extents
            if is_version(version)
        ]  # fmt: skip
        return self._named([b for b in found if choice.has(b.combination)], releases)

    def _conditions(self, choice: Choice, span: Span) -> list[str] | None:
        """What the rows of a choice have in common; None when there are none.

        Names are compared in lower case, but rows are found by the names as they are: so row groups are passed over.
        """
        conditions = ["application <> ''", "channel <> ''", "version IS NOT NULL"]
        for column, wanted, name_of in (
            ("application", choice.applications, str.lower),
            ("channel", choice.channels, str.lower),
            ("os_name", choice.platforms, platform_of),
        ):
            if wanted:
                sql = f"SELECT DISTINCT {column} FROM {{relation}}"
                held = [row[0] for row in self._engine.over_sums((column,), sql, (), span)]
                texts = [dialect.text(name) for name in held if name is not None and name_of(name) in wanted]
                nulls = [f"{column} IS NULL"] if None in held and column == "os_name" else []
                if not texts and not nulls:
                    return None
                conditions.append(" OR ".join([f"{column} IN ({', '.join(texts)})", *nulls][not texts :]))
        return conditions

    def _grouped(self, select: str, conditions: Sequence[str], span: Span) -> list[tuple[Any, ...]]:
        bounds = [("window_start >= ?", span.first), ("window_start <= ?", span.last)]
        where = " AND ".join(f"({c})" for c in (*conditions, *(c for c, bound in bounds if bound)))
        keys = ", ".join(KEYS)
        sql = f"SELECT {keys}, {select} FROM {{relation}} WHERE {where} GROUP BY {keys}"
        columns = (*KEYS, "window_start", USAGE)
        return self._engine.over_sums(columns, sql, [bound for _, bound in bounds if bound], span)

    def _named(self, builds: Sequence[Build], releases: Iterable[Release]) -> list[Build]:
        published: dict[tuple[str, str, str | None], str] = {}
        for release in releases:  # the oldest first
            published.setdefault((release.application, release.channel, release.build_id), release.version)
        missing = [b for b in builds if _hides_its_beta(b) and _key(b) not in published]
        self._look_up([b for b in missing if _key(b) not in self._display])
        shown = {**{_key(b): self._display.get(_key(b), b.version) for b in missing}, **published}
        return [msgspec.structs.replace(b, name=shown.get(_key(b), b.version)) for b in builds]

    def _look_up(self, builds: Sequence[Build]) -> None:
        """What these builds show to their users. Rollups do not have it, so each build is asked about once."""
        if not builds:
            return
        if len(self._display) > _KNOWN_NAMES:
            self._display.clear()
        columns = ("application", "channel", "build_id", "display_version")
        sql = (
            f"SELECT {', '.join(columns[:3])}, min(display_version) FROM {{relation}} "
            "WHERE channel IN (SELECT unnest(?::VARCHAR[])) AND build_id IN (SELECT unnest(?::VARCHAR[])) "
            f"AND display_version IS NOT NULL GROUP BY {', '.join(columns[:3])}"
        )
        majors = {_key(b): _major(b.version) for b in builds}
        ids = sorted({b.build_id for b in builds if b.build_id})
        first = _instant(min(b.first_us for b in builds))
        channels = sorted({b.channel for b in builds})
        for *key, display in self._engine.over_sums(columns, sql, (channels, ids), Span(first)):
            named = (key[0], key[1], key[2])
            if is_version(display) and majors.get(named) == _major(display):
                self._display[named] = display


def spans_joined(spans: Sequence[BuildSpan]) -> tuple[str, list[Parameter]]:
    """`FROM ... JOIN ...` of the rows within the spans: the columns of `r`, and `s.span_group`; and its parameters."""
    texts = [f"unnest(?::VARCHAR[]) AS {key}" for key in KEYS]
    numbers = [f"unnest(?::BIGINT[]) AS {name}" for name in ("span_group", "first_us", "last_us")]
    same = " AND ".join(
        f"r.{k} IS NOT DISTINCT FROM s.{k}" if k in ("os_name", "build_id") else f"r.{k} = s.{k}"
        for k in KEYS
    )
    # Row groups are passed over by conditions on the rows themselves, not by those of the join.
    held = " AND ".join(_among(k, {getattr(s.build, k) for s in spans}) for k in ("channel", "os_name"))
    sql = (
        f"FROM (FROM {{relation}} WHERE {held}) AS r JOIN (SELECT * REPLACE (make_timestamptz(first_us) AS first_us, "
        f"make_timestamptz(last_us) AS last_us) FROM (SELECT {', '.join([*texts, *numbers])})) AS s "
        f"ON {same} AND r.window_start >= s.first_us AND r.window_start <= s.last_us"
    )
    parameters: list[Parameter] = [[getattr(s.build, key) for s in spans] for key in KEYS]
    parameters += [[s.group for s in spans], [s.first_us for s in spans], [s.last_us for s in spans]]
    return sql, parameters


def _among(column: str, names: set[str | None]) -> str:
    texts = sorted(name for name in names if name is not None)
    return "true" if None in names else f"{column} IN ({', '.join(map(dialect.text, texts))})"


def whole_span(spans: Sequence[BuildSpan]) -> Span:
    """The files that hold them all."""
    first, last = min(s.first_us for s in spans), max(s.last_us for s in spans)
    return Span(_instant(first), _instant(last))


_LAST_S = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
"""No calendar goes on much longer, and imported rows may be of any time."""


def _instant(since_epoch_us: int) -> datetime:
    return datetime.fromtimestamp(min(max(since_epoch_us // 1_000_000, 0), _LAST_S), UTC)


def _key(build: Build) -> tuple[str, str, str | None]:
    return (build.application, build.channel, build.build_id)


def _major(version: str) -> int:
    return version_key(version)[1]


def _hides_its_beta(build: Build) -> bool:
    """A beta's pings say 61.0; only the display version says 61.0b3."""
    return build.channel.lower() == "beta" and build.version.replace(".", "").isdigit()
