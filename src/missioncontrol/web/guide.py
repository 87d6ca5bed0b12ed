"""The documentation as pages of the server, so that a page can lead to what explains it, also without the internet.

The Markdown files are those of `docs/`: `web/docs` is a link to it in the sources, and a copy of it where the product
is installed. Nothing in them is HTML.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from pathlib import Path

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from markupsafe import Markup

from missioncontrol.errors import NotFound
from missioncontrol.web.address import only
from missioncontrol.web.pages import PageSources, top_bar
from missioncontrol.web.rendering import Renderer

FOLDERS = {"how-to": "How to", "reference": "Reference", "adr": "Decisions"}
"""Folder -> heading of its pages in the index."""
FIRST = ("electron-crashes", "point-a-client-here")
"""Where most begin: these come first of their folder."""
_DOCS = Path(__file__).parent / "docs"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,80}", re.ASCII)


class IndexEntry(msgspec.Struct, frozen=True):
    """A page in the index."""

    title: str
    href: str


class GuidePage(msgspec.Struct, frozen=True):
    """A page of the documentation."""

    title: str
    body: Markup


def build_guide(sources: PageSources, renderer: Renderer) -> APIRouter:
    """The routes `/docs/`, `/docs/<folder>/<name>` and `/docs/images/<name>.png`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs/images/{name}.png")
    def picture(name: str) -> Response:
        path = _DOCS / "images" / f"{name}.png"
        if not _NAME.fullmatch(name) or not path.is_file():
            raise NotFound("unknown_guide", f"There is no picture {name[:80]!r}.", "/docs/ lists the pages.")
        return FileResponse(path)

    @router.get("/docs", dependencies=[only()])
    @router.get("/docs/", dependencies=[only()])
    def index(request: Request) -> Response:
        navigation = top_bar(sources, sources.registry())
        return renderer.page(request, "guides.html", sections=guide_index(), navigation=navigation)

    @router.get("/docs/{folder}/{name}", dependencies=[only()])
    def guide(request: Request, folder: str, name: str) -> Response:
        return renderer.page(
            request,
            "guide.html",
            page=guide_page(folder, name),
            navigation=top_bar(sources, sources.registry()),
        )

    return router


@lru_cache(maxsize=1)
def guide_index() -> list[tuple[str, list[IndexEntry]]]:
    """Heading and pages of each folder; decisions in their order, others by title."""
    found = []
    for folder, heading in FOLDERS.items():
        names = sorted(path.stem for path in (_DOCS / folder).glob("*.md"))
        pages = [IndexEntry(guide_page(folder, name).title, f"/docs/{folder}/{name}") for name in names]
        if folder != "adr":
            pages.sort(key=lambda page: (_place(page.href), page.title.lower()))
        found.append((heading, pages))
    return found


def _place(href: str) -> int:
    name = href.rpartition("/")[2]
    return FIRST.index(name) if name in FIRST else len(FIRST)


@lru_cache(maxsize=64)
def guide_page(folder: str, name: str) -> GuidePage:
    """A page by folder and name, without `.md`; raises `NotFound` (`unknown_guide`)."""
    if folder in FOLDERS and _NAME.fullmatch(name):
        path = _DOCS / folder / f"{name}.md"
        if path.is_file():
            return _rendered(path.read_text(encoding="utf-8"), folder)
    raise NotFound(
        "unknown_guide", f"There is no page {name[:80]!r} of the documentation.", "/docs/ lists them."
    )


def _rendered(text: str, folder: str) -> GuidePage:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    title = ""
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            words = tokens[number + 1].content
            title = title or words
            token.attrSet("id", _anchor(words))
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _address(str(child.attrGet("href") or ""), folder))
    html = markdown.renderer.render(tokens, markdown.options, {})
    return GuidePage(title, Markup(html.replace("<pre><code", "<pre data-copy><code")))


def _anchor(heading: str) -> str:
    """As the forges make it: lower case, hyphens for blanks, without marks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _address(target: str, folder: str) -> str:
    """Where a link of a page leads here; links to other files of the repository lead nowhere."""
    path, mark, fragment = target.partition("#")
    if not path or ":" in path or path.startswith("/"):
        return target
    found = posixpath.normpath(posixpath.join("/docs", folder, path))
    return f"{found.removesuffix('.md')}{mark}{fragment}" if found.endswith(".md") else "#"
