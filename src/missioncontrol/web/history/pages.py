"""The history page: days of the archive, runs, and the form that asks for days to be made again.

Three addresses change something: two ask for a run, one takes a mark away. They refuse what comes from other sites,
and lead back to the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from missioncontrol.errors import BadRequest, MissionControlError
from missioncontrol.registry.rules import DEFAULT_RULES, RULE_WORDS
from missioncontrol.telemetry.backfill_plan import CRASHES, TABLES, Plan, command_line
from missioncontrol.web.address import read_once
from missioncontrol.web.auth.guard import require
from missioncontrol.web.history.model import ALL, STATES, read_day, read_plan, read_rules
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.refusals import wants_page
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.request_body import form_fields

_KEPT_CHARACTERS = 200
_MOST_DAYS = 60
"""Beyond these the form asks back."""


class MakeForm(msgspec.Struct, frozen=True):
    """The form as it is shown."""

    first: str
    last: str
    table: str
    rules: str
    command: str
    """The command line that does the same."""
    error: MissionControlError | None = None
    sure: str = ""
    """What the form sends along when it is sent as it is now: that so many days are meant."""


def build_history_pages(sources: PageSources, renderer: Renderer) -> APIRouter:
    """The routes of the page."""
    router = APIRouter(include_in_schema=False)

    def page(request: Request, form: MakeForm, before: str | None = None, status: int = 200) -> Response:
        return renderer.page(
            request,
            "history.html",
            status=status,
            view=sources.history.history(read_day(before) if before else None),
            form=form,
            tables=[*TABLES, ALL],
            rule_sets=RULE_WORDS,
            states=STATES,
            today=sources.now().date(),
            base_url=str(request.base_url).rstrip("/"),
            navigation=top_bar(sources, sources.registry()),
        )

    @router.get("/history")
    def history(
        request: Request,
        before: str | None = None,
        first: str | None = None,
        last: str | None = None,
        rules: str = "",
    ) -> Response:
        read_once(request.query_params.multi_items(), ("before", "first", "last", "rules"))
        return page(request, _offered(sources, first, last, rules), before)

    @router.get("/history/runs")
    def back() -> Response:
        return RedirectResponse("/history", 303)  # a reload after a refused form

    @router.post("/history/runs", dependencies=[require("reprocess")])
    def make(request: Request, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        try:
            plan = _plan(sources, fields)
            _refuse_many(plan, fields.get("sure", ""))
            sources.history.want(plan)
        except BadRequest as error:
            if not wants_page(request):
                raise
            return page(request, _again(sources, fields, error), status=400)
        return RedirectResponse("/history#runs", 303)

    @router.post("/history/runs/{run_id}/retry", dependencies=[require("reprocess")])
    def retry(run_id: int) -> Response:
        sources.history.retry(run_id)
        return RedirectResponse("/history#runs", 303)

    @router.post("/history/runs/{run_id}/leave", dependencies=[require("reprocess")])
    def leave(run_id: int) -> Response:
        sources.history.leave(run_id)
        return RedirectResponse("/history", 303)

    return router


def _refuse_many(plan: Plan, sure: str) -> None:
    """Ask back when there are many days, unless exactly these were asked back about already."""
    days = (plan.last - plan.first).days + 1
    if days > _MOST_DAYS and sure != _sure(plan.first, plan.last):
        raise BadRequest(
            "many_days",
            f"These are {days:,} days, {plan.first} to {plan.last}.",
            f"Make all of them? Then send it once more, with sure={_sure(plan.first, plan.last)}.",
        )


def _sure(first: object, last: object) -> str:
    return f"{first}/{last}"


def _plan(sources: PageSources, fields: Mapping[str, str]) -> Plan:
    return read_plan(
        [fields.get("table") or CRASHES],
        fields.get("first", ""),
        fields.get("last", ""),
        fields.get("rules", ""),
        sources.now().date(),
    )


def _offered(sources: PageSources, first: str | None, last: str | None, rules: str = "") -> MakeForm:
    """The form before anything was typed: the days and rules of the address, or yesterday."""
    yesterday = sources.now().date() - timedelta(days=1)
    begins = read_day(first) if first else yesterday
    ends = read_day(last) if last else begins
    chosen = read_rules(rules)
    plan = Plan((CRASHES,), begins, ends, chosen)
    return MakeForm(str(begins), str(ends), CRASHES, chosen, command_line(plan))


def _again(sources: PageSources, fields: Mapping[str, str], error: BadRequest) -> MakeForm:
    """The form with what was typed and what is wrong with it."""
    first, last, table, rules = (
        fields.get(n, "")[:_KEPT_CHARACTERS] for n in ("first", "last", "table", "rules")
    )
    form = msgspec.structs.replace(
        _offered(sources, None, None),
        first=first,
        last=last,
        table=table or CRASHES,
        rules=rules or DEFAULT_RULES,
        error=error,
    )
    if error.code != "many_days":
        return form
    plan = _plan(sources, fields)
    return msgspec.structs.replace(form, command=command_line(plan), sure=_sure(plan.first, plan.last))
