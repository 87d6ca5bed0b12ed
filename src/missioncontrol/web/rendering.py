"""Templates to HTML answers.

Everything is escaped unless a template says otherwise, and none does except for JSON in data blocks, which
is made safe here. The theme comes from a cookie, so that a page is right before any script runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from missioncontrol import __version__
from missioncontrol.web import numerals, times
from missioncontrol.web.assets import Assets
from missioncontrol.web.auth.visit import reader_of
from missioncontrol.web.channel.address import channel_href
from missioncontrol.web.crashes.address import process_title, signature_href, system_version
from missioncontrol.web.places import PLACES
from missioncontrol.web.verdicts import words

TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")
_CODE = re.compile(r"`([^`\n]+)`")


class Renderer:
    """Fills templates in; safe to share between threads."""

    def __init__(
        self, assets: Assets, trouble: Callable[[], bool] = lambda: False, provider: str = ""
    ) -> None:
        """`trouble`: whether the navigation marks the history, asked for with every page. `provider`: what the OpenID
        provider is called, if there is one.
        """
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            assets=assets,
            product_version=__version__,
            trouble=trouble,
            provider=provider,
            channel_href=channel_href,
            places=PLACES,
        )
        self._environment.filters.update(
            amount=numerals.amount,
            rate=numerals.rate,
            size=numerals.size,
            seconds=numerals.seconds,
            moment=times.moment,
            moment_text=numerals.moment,
            ago=times.ago,
            ago_text=numerals.ago,
            timed=times.timed,
            dated=times.dated,
            told=times.told,
            data_block=data_block,
            percent=numerals.percent,
            signature_href=signature_href,
            process_title=process_title,
            system_version=system_version,
            coded=coded,
            **words.FILTERS,
        )

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """The filled template; 304 without a body when the caller already has exactly that."""
        theme = request.cookies.get("theme", "")
        text = self._environment.get_template(template).render(
            theme=theme if theme in THEMES else "",
            path=request.url.path,
            reader=reader_of(request),
            **{"navigation": None, **values},
        )
        tag = f'W/"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'
        if status == 200 and request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        return HTMLResponse(text, status, {"etag": tag, "vary": "cookie"})


def data_block(value: Any) -> Markup:
    """JSON that can stand in a `<script type="application/json">`: nothing in it can end the element."""
    text = msgspec.json.encode(value).decode()
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def coded(text: str) -> Markup:
    """Text in which what stands between backticks is shown as code, all of it escaped."""
    parts = _CODE.split(text)
    shown = [
        escape(part) if number % 2 == 0 else Markup("<code>{}</code>").format(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(shown)
