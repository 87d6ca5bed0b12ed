"""The pages of experiments: `/experiments` and `/experiments/<id>`, with their JSON and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.query.experiment_sums import LATELY, Experiment
from missioncontrol.registry.model import Registry
from missioncontrol.web.address import decode_part, read_once
from missioncontrol.web.api_route import open_json
from missioncontrol.web.builds.view import interval_words, rate_words
from missioncontrol.web.crashes.answers import Format, csv_answer
from missioncontrol.web.experiments.compare import (
    Numbers,
    base_of,
    branches_of,
    compare_experiment,
    compared_measures,
)
from missioncontrol.web.experiments.reckoned import hours_of, rates_of, ratios_of, slices_of
from missioncontrol.web.experiments.source import ExperimentSource
from missioncontrol.web.experiments.view import (
    ExperimentWanted,
    branch_title,
    build_experiment,
    experiment_path,
)
from missioncontrol.web.home.cards import drawn_measure
from missioncontrol.web.pages import PageSources, top_bar

if TYPE_CHECKING:
    from missioncontrol.web.rendering import Renderer

_CSV = (
    "measure", "branch", "against", "events", "per", "rate", "rate_low", "rate_high", "answer", "ratio", "low",
    "high", "evidence", "comparisons",
)  # fmt: skip


def build_experiment_pages(sources: PageSources, source: ExperimentSource, renderer: Renderer) -> APIRouter:
    """The routes of the pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/experiments")
    def experiments(request: Request, format: Format = "html") -> Response:
        read_once(request.query_params.multi_items(), ("format",))
        now = sources.now()
        found = source.current(now)
        if format == "json":
            return open_json([_listed(one) for one in found])
        if format == "csv":
            return csv_answer(_list_rows(found), "experiments")
        return renderer.page(
            request,
            "experiments.html",
            experiments=found,
            how_hours=hours_of(now),
            now=now,
            days=LATELY.days,
            path_of=experiment_path,
            branch_title=branch_title,
            navigation=top_bar(sources, sources.registry()),
        )

    @router.get("/experiments/{experiment}")
    def experiment(request: Request, experiment: str, format: Format = "html") -> Response:
        registry = sources.registry()
        wanted = read_experiment_wanted(experiment, request.query_params.multi_items(), registry)
        one = _found(source.current(sources.now()), wanted.name)
        base = base_of(branches_of(one), wanted.against)
        if base < 0:
            names = ", ".join(branch_title(branch.name)[:60] for branch in branches_of(one))
            said = f"There is no branch `{wanted.against[:60]}`."
            raise BadRequest("unknown_branch", said, f"Branches: {names}.")
        numbers = compare_experiment(source, registry, one, base, wanted.measure)
        if format == "json":
            return open_json(_answer(one, numbers))
        if format == "csv":
            return csv_answer(_csv_rows(numbers), "experiment")
        view = build_experiment(wanted, registry, one, numbers)
        return renderer.page(
            request,
            "experiment.html",
            view=view,
            how_rates={block.measure.name: rates_of(view, block) for block in view.blocks},
            how_ratios=ratios_of(view),
            how_slices=slices_of(view),
            interval_words=interval_words,
            rate_words=rate_words,
            navigation=top_bar(sources, registry),
        )

    return router


def read_experiment_wanted(
    experiment: str, pairs: Sequence[tuple[str, str]], registry: Registry
) -> ExperimentWanted:
    """What an address asks for.

    Raises `BadRequest` (`unknown_parameter`, `repeated_parameter`, `unknown_measure`).
    """
    given = read_once(pairs, ("measure", "against", "format"))
    names = [one.name for one in compared_measures(registry)]
    usual = drawn_measure(registry)
    measure = given.get("measure") or (usual if usual in names else next(iter(names), ""))
    if measure not in names:
        hint = f"Measures with a rate: {', '.join(names)}."
        raise BadRequest("unknown_measure", f"`{measure[:60]}` is not compared.", hint)
    return ExperimentWanted(decode_part(experiment) or "", measure, given.get("against", ""))


def _found(current: Sequence[Experiment], name: str) -> Experiment:
    for one in current:
        if one.name == name:
            return one
    said = f"There is no experiment `{name[:80]}` with data of the last {LATELY.days} days."
    raise NotFound("unknown_experiment", said, "See /experiments.")


def _listed(one: Experiment) -> dict[str, Any]:
    return {
        "experiment": one.name,
        "first": one.first,
        "last": one.last,
        "usage_hours": one.hours,
        "channels": one.channels,
        "branches": one.branches,
    }


def _list_rows(found: Sequence[Experiment]) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = [("experiment", "branch", "first", "last", "usage_hours")]
    for one in found:
        for branch in one.branches:
            ends = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (branch.first, branch.last))
            rows.append((one.name, branch.name, *ends, branch.hours))
    return rows


def _answer(one: Experiment, numbers: Numbers) -> dict[str, Any]:
    return {**_listed(one), "numbers": numbers}


def _csv_rows(numbers: Numbers) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = [_CSV]
    names = [branch.name for branch in numbers.branches]
    for row in numbers.rows:
        for name, cell in zip(names, row.cells, strict=True):
            one = cell.difference
            told = (one.answer, one.ratio, one.low, one.high, one.evidence) if one else (None,) * 5
            own = (cell.events, cell.per, cell.rate, cell.low, cell.high)
            rows.append((row.measure, name, names[numbers.base], *own, *told, numbers.comparisons))
    return rows
