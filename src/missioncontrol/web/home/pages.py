"""The first page: `/`, with its JSON and its text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from missioncontrol.web.address import builds_path, decode_part, encode_part, read_once
from missioncontrol.web.api_route import open_json
from missioncontrol.web.home.cards import SPANS, Card
from missioncontrol.web.home.plots import adoption_spark, course_spark
from missioncontrol.web.home.reckoned import (
    crash_free_of,
    lately_of,
    rate_of,
    reports_day_of,
    share_of,
    usage_day_of,
    usage_of,
)
from missioncontrol.web.home.source import HomeSource, Made
from missioncontrol.web.home.text import home_text, version_title
from missioncontrol.web.home.view import Home, assembled, channel_title
from missioncontrol.web.measure.lookup import ChannelRef
from missioncontrol.web.numerals import percents
from missioncontrol.web.pages import PageSources, top_bar

if TYPE_CHECKING:
    from missioncontrol.health.model import Account
    from missioncontrol.registry.model import Registry
    from missioncontrol.web.rendering import Renderer

HomeFormat = Annotated[Literal["html", "json", "text"], Query()]
FILTERS = ("application", "channel")
_MOST_POINTS = 6
"""Of what needs attention so much is told at the top; the page of verdicts has all."""


class HomeWanted(msgspec.Struct, frozen=True):
    """What the page is asked for, written as parts of a path are; empty: all."""

    application: str = ""
    channel: str = ""

    def url(self, **changes: str) -> str:
        """The address, with changes and further parameters."""
        asked = {**msgspec.structs.asdict(self), **changes}
        pairs = [(name, value) for name, value in asked.items() if value]
        return f"/?{urlencode(pairs)}" if pairs else "/"

    def has(self, application: str | None, channel: str | None) -> bool:
        """Whether it is asked for."""
        return (not self.application or decode_part(self.application) == application) and (
            not self.channel or decode_part(self.channel) == channel
        )


def build_home_pages(sources: PageSources, source: HomeSource, renderer: Renderer) -> APIRouter:
    """The route of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def home(request: Request, format: HomeFormat = "html") -> Response:
        registry, now = sources.registry(), sources.now()
        wanted = read_home_wanted(request.query_params.multi_items())
        made = source.made(now)
        facts, whole = made.facts, made.home
        view = filtered(registry, made, wanted)
        base = str(request.base_url).rstrip("/")
        text = home_text(view, base + wanted.url())
        if format == "json":
            return open_json(view)
        if format == "text":
            return PlainTextResponse(text)
        nothing = not whole.sections and not facts.accounts
        if sources.takes == "crashes" and nothing:
            return RedirectResponse("/crashes", 303)
        return renderer.page(
            request,
            "home.html",
            view=view,
            nothing=nothing,
            wanted=wanted,
            choices=_choices(made.cards),
            computed_rate=lambda card: rate_of(card, facts.versions),
            computed_lately=lambda card: lately_of(card, facts.versions),
            computed_share=lambda card: share_of(card, facts.versions),
            computed_usage=lambda card: usage_of(card, facts.versions),
            computed_usage_day=usage_day_of,
            computed_reports_day=reports_day_of,
            computed_crash_free=lambda card: crash_free_of(card, facts.versions),
            text=text,
            most_points=_MOST_POINTS,
            adoption_of=adoption_spark,
            course_of=course_spark,
            spans=SPANS,
            percents=percents,
            version_title=version_title,
            builds_path=builds_path,
            crash_reports=sources.crash_reports(now).last_day if nothing else 0,
            navigation=top_bar(sources, registry, known=_channels(made.cards)),
            base_url=base,
            build_id=f"{now:%Y%m%d%H0000}",
        )

    return router


def read_home_wanted(pairs: Sequence[tuple[str, str]]) -> HomeWanted:
    """What an address asks for; raises `BadRequest` (`unknown_parameter`, `repeated_parameter`)."""
    given = read_once(pairs, (*FILTERS, "format"))
    return HomeWanted(**{name: value for name, value in given.items() if name in FILTERS})


def filtered(registry: Registry, made: Made, wanted: HomeWanted) -> Home:
    """The page of what is asked for alone."""
    if wanted == HomeWanted():
        return made.home
    cards = [card for card in made.cards if wanted.has(card.application, card.channel)]
    accounts: list[Account] = [
        one for one in made.facts.accounts if wanted.has(one.subject.application, one.subject.channel)
    ]
    return assembled(registry, cards, accounts, made.facts.end, made.home.now)


def _channels(cards: Iterable[Card]) -> list[ChannelRef] | None:
    """The channels for the selectors, the most used first; None: they are to be asked for."""
    ordered = sorted(cards, key=lambda card: -card.usage_hours_day)
    return list(dict.fromkeys(ChannelRef(card.application, card.channel) for card in ordered)) or None


def _choices(cards: Iterable[Card]) -> dict[str, list[tuple[str, str]]]:
    """For each filter its values with their titles, as there are cards of."""
    places = {(card.application, card.channel) for card in cards}
    applications, channels = {of for of, _ in places}, {on for _, on in places}
    return {
        name: sorted((encode_part(value), channel_title(value)) for value in values)
        for name, values in (("application", applications), ("channel", channels))
    }
