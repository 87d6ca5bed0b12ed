"""`/api/v1/grafana/`: lists of flat objects, as Grafana's Infinity source reads them without a selector.

Reads only, and holds nothing that is not elsewhere in the API in another shape. Dashboards that use it are in
`deploy/grafana/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from missioncontrol.errors import BadRequest
from missioncontrol.health.records import Filter, Record
from missioncontrol.state.release_model import group
from missioncontrol.web.api_route import StrictRoute, as_json
from missioncontrol.web.grafana.annotations import (
    Source,
    collect,
    of_alerts,
    of_people,
    of_releases,
    of_verdicts,
)
from missioncontrol.web.grafana.asked import milliseconds, read_asked
from missioncontrol.web.grafana.rates import MOST_VERSIONS, USUAL_VERSIONS, newest_versions, rates
from missioncontrol.web.verdicts.kept import of_releases as known_ones
from missioncontrol.web.verdicts.kept import still_looked_at
from missioncontrol.web.verdicts.view import verdict_path
from missioncontrol.web.verdicts.words import ORDER, mark_of

if TYPE_CHECKING:
    from missioncontrol.services import Services
    from missioncontrol.web.measure.lookup import Lookup

_From = Annotated[
    str, Query(alias="from", description="Milliseconds since the epoch or ISO 8601; a week before.")
]
_To = Annotated[str, Query(description="The same; now.")]
_Any = Annotated[str, Query(description="Empty: any.")]


class VerdictRow(msgspec.Struct, frozen=True):
    """The newest verdict on a measure of a version. Times in milliseconds since the epoch."""

    application: str
    channel: str
    version: str
    measure: str
    verdict: str
    word: str
    sign: str
    rank: int
    """0 needs attention most."""
    ratio: float | None
    low: float | None
    high: float | None
    age_hours: float
    as_of: int
    sentence: str
    url: str


class Option(msgspec.Struct, frozen=True):
    """A value that a variable of a dashboard may have."""

    text: str
    value: str


def usual_sources(services: Services, now: Callable[[], datetime]) -> list[Source]:
    """The kinds of annotations that there are."""
    base_url = services.config.base_url
    return [
        of_releases(lambda: services.releases.list(), base_url, now),
        of_verdicts(lambda: services.alert_log, base_url),
        of_alerts(lambda: services.alert_log, base_url),
        of_people(lambda: services.annotations),
    ]


def build_grafana_api(
    services: Services, lookup: Lookup, sources: Sequence[Source], now: Callable[[], datetime]
) -> APIRouter:
    """The routes. Reading needs `read`."""
    router = APIRouter(tags=["grafana"], route_class=StrictRoute)
    _add_annotations(router, sources, now)
    _add_rates(router, services, lookup, now)
    _add_verdicts(router, services)
    _add_options(router, services, now)
    return router


def _add_annotations(router: APIRouter, sources: Sequence[Source], now: Callable[[], datetime]) -> None:
    known = [source.kind for source in sources]

    @router.get(
        "/api/v1/grafana/annotations", summary="Releases, changes of verdicts and alerts as annotations"
    )
    def annotations(
        first: _From = "",
        to: _To = "",
        application: _Any = "",
        channel: _Any = "",
        kind: Annotated[str, Query(description="Some of the kinds, separated by commas; empty: all.")] = "",
    ) -> Response:
        """`time`, `timeEnd` (milliseconds since the epoch), `title`, `text` (HTML) and `tags` (separated by commas),
        oldest first. Kinds: release, verdict, alert, note.
        """
        kinds = [one.strip() for one in kind.split(",") if one.strip()]
        for one in kinds:
            if one not in known:
                raise BadRequest(
                    "unknown_kind", f"There is no kind {one[:40]!r}.", f"Known: {', '.join(known)}."
                )
        return as_json(collect(sources, kinds, read_asked(first, to, application, channel, now())))


def _add_rates(router: APIRouter, services: Services, lookup: Lookup, now: Callable[[], datetime]) -> None:
    @router.get("/api/v1/grafana/rates", summary="Rates of a measure over time by version")
    def rate_rows(
        measure: Annotated[str, Query(min_length=1)],
        application: Annotated[str, Query(min_length=1)],
        channel: Annotated[str, Query(min_length=1)],
        first: _From = "",
        to: _To = "",
        version: Annotated[str, Query(description="Some, separated by commas; empty: the newest.")] = "",
        versions: Annotated[
            int, Query(ge=1, le=MOST_VERSIONS, description="So many of the newest.")
        ] = USUAL_VERSIONS,
        interval: Annotated[str, Query(description="5min, hour or day; empty: as suits the range.")] = "",
    ) -> Response:
        """`time` (milliseconds since the epoch), `version`, `rate` (per 1,000 usage hours; null where there were none),
        `count` and `usage_hours`, oldest first. The newest versions are those that were published last; a build counts
        for the version that it was published as. The first interval of a gap has a row of nulls.
        """
        moment = now()
        asked = read_asked(first, to, application, channel, moment)
        named = tuple(dict.fromkeys(one.strip() for one in version.split(",") if one.strip()))
        known = services.releases.list(application, channel)
        wanted = named or newest_versions(known, asked, versions, moment)
        return as_json(rates(lookup, services.registry(), asked, measure, wanted, interval, known))


def _add_verdicts(router: APIRouter, services: Services) -> None:
    @router.get("/api/v1/grafana/verdicts", summary="The newest verdicts, one row each")
    def verdicts(
        application: _Any = "", channel: _Any = "", version: _Any = "", measure: _Any = ""
    ) -> Response:
        """Of releases that are still looked at, those that need attention first. `ratio` 1: as predecessors."""
        wanted = Filter(application or None, channel or None, version or None, measure or None)
        found = known_ones(services.verdict_records.current(wanted), services.releases)
        rows = [_verdict_row(record, services.config.base_url) for record in still_looked_at(found)]
        rows.sort(key=lambda row: (row.rank, row.application, row.channel, row.age_hours, row.measure))
        return as_json(rows)


def _verdict_row(record: Record, base_url: str) -> VerdictRow:
    subject, look, mark = record.subject, record.look, mark_of(record.look.verdict)
    rank = ORDER.index(look.verdict) if look.verdict in ORDER else len(ORDER)
    return VerdictRow(
        application=subject.application,
        channel=subject.channel,
        version=subject.version,
        measure=subject.measure,
        verdict=look.verdict,
        word=mark.word,
        sign=mark.sign,
        rank=rank,
        ratio=look.ratio,
        low=look.low,
        high=look.high,
        age_hours=look.age_hours,
        as_of=milliseconds(look.as_of),
        sentence=record.account.sentence if record.account else "",
        url=base_url + verdict_path(subject),
    )


def _add_options(router: APIRouter, services: Services, now: Callable[[], datetime]) -> None:
    @router.get("/api/v1/grafana/options", summary="Values of a variable of a dashboard")
    def options(
        of: Annotated[Literal["application", "channel", "version", "measure"], Query()],
        application: _Any = "",
        channel: _Any = "",
    ) -> Response:
        """`text` and `value`: applications, channels and versions that were published, the newest version first;
        measures that have a rate.
        """
        if of == "measure":
            declared = services.registry().measures.values()
            return as_json([Option(m.title, m.name) for m in declared if m.group != "usage"])
        end = now()
        known = [
            r for r in services.releases.list(application or None, channel or None) if r.published_at <= end
        ]
        names = (getattr(release, of) for release in reversed(group(known)))
        ordered = dict.fromkeys(names) if of == "version" else sorted(set(names))
        return as_json([Option(name, name) for name in ordered])
