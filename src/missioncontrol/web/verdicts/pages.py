"""The pages of verdicts: `/verdicts`, `/verdict/...` with its JSON and CSV twins, and `/calibration`.

They only show: what is judged, kept and calibrated elsewhere is looked up, laid out and printed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.model import Course, Subject
from missioncontrol.registry.model import Registry
from missioncontrol.state.release_model import Version, group
from missioncontrol.web.address import MeasureState, decode_part, read_once
from missioncontrol.web.api_route import open_json
from missioncontrol.web.crashes.answers import Format, csv_answer
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.verdicts.calibration import build_calibration
from missioncontrol.web.verdicts.listed import build_verdicts, matching, read_wanted
from missioncontrol.web.verdicts.reckoned import listed_of
from missioncontrol.web.verdicts.source import VerdictSource
from missioncontrol.web.verdicts.view import build_verdict
from missioncontrol.web.verdicts.words import where_words

_NUMBERS = ("age_hours", "verdict", "ratio", "low", "high", "evidence", "observed", "expected")
_CSV = ("as_of", *_NUMBERS, "slice", "reasons")
Text = Annotated[str, Query(max_length=300)]


def build_verdict_pages(sources: PageSources, verdicts: VerdictSource, renderer: Renderer) -> APIRouter:
    """The routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/verdicts")
    def overview(request: Request, format: Format = "html") -> Response:
        registry = sources.registry()
        wanted = read_wanted(request.query_params.multi_items())
        accounts = verdicts.current()
        if format != "html":
            found = matching(accounts, wanted)
            return open_json(found) if format == "json" else _overview_csv(found)
        view = build_verdicts(accounts, wanted, lambda name: _title(registry, name), sources.now())
        navigation = top_bar(sources, registry)
        return renderer.page(
            request,
            "verdicts.html",
            view=view,
            how=listed_of(),
            navigation=navigation,
            base_url=_base(request),
        )

    @router.get("/verdict/{application}/{channel}/{version}/{measure}")
    def verdict(
        request: Request,
        application: str,
        channel: str,
        version: str,
        measure: str,
        signature: Text = "",
        as_of: Text = "",
        format: Format = "html",
    ) -> Response:
        read_once(request.query_params.multi_items(), ("signature", "as_of", "format"))
        registry = sources.registry()
        of, on, named, counted = (
            decode_part(part) or "" for part in (application, channel, version, measure)
        )
        subject = Subject(of, on, named, counted, signature)
        moment = read_moment(as_of) if as_of else None
        found = verdicts.course(subject, moment)
        course = found.course
        if format == "json":
            return open_json(course)
        if format == "csv":
            return _looks_csv(course)
        dropped, release = verdicts.uncounted(course.account), _release(sources, subject)
        title = _title(registry, subject.measure)
        known = registry.measures.get(subject.measure)
        worse = known.worse if known else "up"
        view = build_verdict(found, title, sources.now(), moment, dropped, release, worse)
        navigation = top_bar(sources, registry, MeasureState(of, on, counted))
        return renderer.page(request, "verdict.html", view=view, navigation=navigation)

    @router.get("/calibration")
    def calibration(
        request: Request,
        application: Text = "",
        channel: Text = "",
        measure: Text = "",
        format: Format = "html",
    ) -> Response:
        read_once(request.query_params.multi_items(), ("application", "channel", "measure", "format"))
        registry = sources.registry()
        view = build_calibration(verdicts.calibrations(), application, channel, measure)
        if format == "json":
            if view.calibration is None:
                raise NotFound("no_calibration", "Nothing was calibrated yet.", f"Run `{view.command}`.")
            return open_json(view.calibration)
        return renderer.page(
            request,
            "calibration.html",
            view=view,
            asked={"application": application, "channel": channel, "measure": measure},
            title=lambda name: _title(registry, name),
            now=sources.now(),
            navigation=top_bar(sources, registry),
        )

    return router


def read_moment(text: str) -> datetime:
    """An instant in an address, UTC where it says nothing else; raises `BadRequest` (`bad_time`)."""
    try:
        # A plus that was not encoded arrives as a space.
        found = datetime.fromisoformat(text.strip().replace(" +", "+").replace("Z", "+00:00"))
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "Write 2026-01-31T14:05Z, in UTC."
        raise BadRequest("bad_time", f"`as_of` is no time: `{text[:60]}`.", hint) from None


def _release(sources: PageSources, subject: Subject) -> Version | None:
    """What is said of the version; None where it is not known."""
    known = group(sources.releases(subject.application, subject.channel))
    return next((one for one in known if one.version == subject.version), None)


def _title(registry: Registry, name: str) -> str:
    measure = registry.measures.get(name)
    return measure.title if measure else name


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _looks_csv(course: Course) -> Response:
    rows: list[list[Any]] = [list(_CSV)]
    for look in course.looks:
        values = [getattr(look, name) for name in _NUMBERS]
        where = where_words(look.slice) if look.slice else ""
        rows.append([f"{look.as_of:%Y-%m-%dT%H:%M:%SZ}", *values, where, " ".join(look.reasons)])
    return csv_answer(rows, "verdict")


def _overview_csv(accounts: list[Any]) -> Response:
    head = ["application", "channel", "version", "measure", *_CSV]
    rows: list[list[Any]] = [head]
    for one in accounts:
        look = one.look
        values = [getattr(look, name) for name in _NUMBERS]
        where = where_words(look.slice) if look.slice else ""
        subject = one.subject
        names = [subject.application, subject.channel, subject.version, subject.measure]
        rows.append([*names, f"{look.as_of:%Y-%m-%dT%H:%M:%SZ}", *values, where, " ".join(look.reasons)])
    return csv_answer(rows, "verdicts")
