"""The page of a measure, its twins in JSON and CSV, and the way to it from the selectors.

Nothing is changed here. Handlers are plain functions, which the server runs in threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.errors import BadRequest
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import (
    CHOICES,
    DEFAULTS,
    NULL,
    SIDES,
    SPANS,
    MeasureState,
    Side,
    builds_path,
    decode_part,
    encode_part,
    filterable,
    read_state,
)
from missioncontrol.web.api_route import as_json
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.crashes.answers import csv_answer
from missioncontrol.web.measure.cells import number_cells
from missioncontrol.web.measure.charts import Annotations, Sources, build_view, notes_of, releases_of
from missioncontrol.web.measure.question import Question, ask, find_measure
from missioncontrol.web.measure.reckoned import intervals_of, ratio_of, shortened, small_of, sums_of
from missioncontrol.web.measure.table import file_rows
from missioncontrol.web.pages import PageSources, channels_of, top_bar, usual_measure
from missioncontrol.web.rendering import Renderer

if TYPE_CHECKING:
    from missioncontrol.web.measure.view import MeasureView

_FORMS = ("html", "json", "csv")
_FILTER_FORM = ("filter", "value", "side")


def build_measure_pages(sources: PageSources, annotations: Annotations, renderer: Renderer) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)
    of = Sources(sources.lookup, releases_of(sources.releases), notes_of(annotations))

    @router.get("/measure")
    def choose(request: Request) -> Response:
        return RedirectResponse(_chosen(request, sources), 303)

    @router.get("/measure/{application}/{channel}/{measure}")
    def show(request: Request, application: str, channel: str, measure: str) -> Response:
        registry = sources.registry()
        find_measure(measure, registry)
        form, pairs = _form(request.query_params.multi_items())
        added = _added_filter(pairs)
        state = read_state(
            application, channel, measure, [p for p in pairs if p[0] not in _FILTER_FORM], registry
        )
        if added is not None:
            extended = [*state.pairs(), *([added] if added[1] else [])]
            return RedirectResponse(read_state(application, channel, measure, extended, registry).url(), 303)
        protected = reader_of(request).may("protected")
        now = sources.now()
        view = build_view(state, registry, of, now, protected)
        if form == "json":
            return as_json(view)
        if form == "csv":
            return csv_answer(list(file_rows(view)), measure)
        published = of.releases(state.application, state.channel)
        question = shortened(ask(state, registry, now, published), view)
        return _page(request, question, registry, view, sources, renderer)

    return router


def _page(
    request: Request,
    question: Question,
    registry: Registry,
    view: MeasureView,
    sources: PageSources,
    renderer: Renderer,
) -> Response:
    state, per = question.state, registry.measures.get(question.per)
    per_title = per.title if per else question.per
    return renderer.page(
        request,
        "measure.html",
        view=view,
        state=state,
        choices=_choice_labels(state),
        selects=_select_labels(state),
        splits=[
            registry.dimensions[name]
            for name in filterable(registry)
            if name not in ("build_id", state.group)
        ],
        dimensions=[registry.dimensions[name] for name in filterable(registry)],
        titles={d.name: d.title for d in registry.keys},
        how_sums=sums_of(view, question, per_title),
        how_intervals=intervals_of(view, question, per_title),
        how_small=small_of(view, question, per_title),
        how_ratio=ratio_of(view, question, per_title),
        sides=[("a", state.a), ("b", state.b)],
        none_side=Side(),
        number_cells=number_cells,
        builds_path=builds_path,
        here=f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
        base_url=str(request.base_url).rstrip("/"),
        may_note=reader_of(request).may("reprocess"),
        navigation=top_bar(sources, registry, state),
    )


def _form(pairs: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """What is asked for: page, JSON or CSV; and the other parameters. Raises `BadRequest` (`bad_parameter`)."""
    asked = [value for name, value in pairs if name == "format"]
    if len(asked) > 1 or (asked and asked[0] not in _FORMS):
        raise BadRequest(
            "bad_parameter", "`format` is not understood.", f"Choose one of: {', '.join(_FORMS)}."
        )
    return (asked or ["html"])[0], [pair for pair in pairs if pair[0] != "format"]


def _added_filter(pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """What the form "add a filter", or that of a side of a comparison, asks for; None when none was used."""
    form = dict(p for p in pairs if p[0] in _FILTER_FORM)
    if "filter" not in form:
        return None
    name, value = form["filter"], form.get("value", "").strip()
    side = form.get("side", "")
    if side and side not in SIDES:
        raise BadRequest("bad_parameter", f"There is no side `{side[:20]}`.", "The sides are a and b.")
    name = f"{side}.{name}" if side else name
    return (f"{name}__isnull", "true") if value == NULL else (name, value)


def _chosen(request: Request, sources: PageSources) -> str:
    """The page of the application, channel and measure that the selectors ask for, or the nearest."""
    registry = sources.registry()
    pairs = request.query_params.multi_items()
    asked = dict(pairs)
    known = channels_of(sources)
    application, channel = decode_part(asked.get("application", "")), decode_part(asked.get("channel", ""))
    of_application = [ref for ref in known if ref.application == application] or known
    if not of_application:
        return "/"
    ref = next((ref for ref in of_application if ref.channel == channel), of_application[0])
    measure = asked.get("measure") or usual_measure(registry)
    find_measure(measure, registry)
    kept = [p for p in pairs if p[0] not in ("application", "channel", "measure")]
    return read_state(encode_part(ref.application), encode_part(ref.channel), measure, kept, registry).url()


_LABELS = {
    "version": "Version",
    "build_id": "Build id",
    "5min": "5 min",
    "hour": "Hour",
    "day": "Day",
    "24h": "24 h",
    "48h": "48 h",
    "7d": "7 d",
    "14d": "14 d",
    "30d": "30 d",
    "newest": "Newest",
    "custom": "Dates",
    "rate": "Rate",
    "count": "Count",
    "clock": "Clock time",
    "release": "Since release",
    "off": "Off",
    "on": "On",
    "3h": "3 h",
    "0": "None",
}
_LEGENDS = {"show": "Show", "interval": "Every", "range": "Range", "time": "Time", "group": "Lines by"}
_SELECTS = {"smooth": "Smooth", "skip": "Leave out first", "band": "Band of predecessors"}


class Choice(NamedTuple):
    """One button or option of a group."""

    value: str
    label: str
    chosen: bool
    usual: bool


def _choices_of(name: str, state: MeasureState) -> list[Choice]:
    return [
        Choice(value, _LABELS[value], getattr(state, name) == value, DEFAULTS[name] == value)
        for value in CHOICES[name]
        if name != "range" or value in SPANS or (value == "newest") == (state.time == "release")
    ]


def _choice_labels(state: MeasureState) -> list[tuple[str, str, list[Choice]]]:
    """For each group of buttons: parameter, legend and choices."""
    return [
        (name, legend, _choices_of(name, state))
        for name, legend in _LEGENDS.items()
        if name != "group" or not state.compares
    ]


def _select_labels(state: MeasureState) -> list[tuple[str, str, list[Choice]]]:
    """The same of the menus, of which two mean something only since release, and the band not of selections."""
    return [
        (name, legend, _choices_of(name, state))
        for name, legend in _SELECTS.items()
        if name == "smooth" or (state.time == "release" and not (name == "band" and state.compares))
    ]
