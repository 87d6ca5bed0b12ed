"""Requests that change something must come from a page of this server, or from no page at all.

Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`, `Referer`); programs send none of them. So a
foreign page cannot use its visitor's session, or a visitor's place at a single-user installation.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from missioncontrol.errors import Forbidden

_PORTS = {"http": ":80", "https": ":443"}


def refuse_cross_site(request: Request, own_url: str = "") -> None:
    """Raises `Forbidden` (`cross_site`) when a browser says that another site's page sent the request."""
    if from_foreign_page(request, own_url):
        hint = "Open the page on this server and repeat it there. Behind a proxy: it must pass the header Host on."
        raise Forbidden("cross_site", "The request comes from a page of another site.", hint)


def from_foreign_page(request: Request, own_url: str = "") -> bool:
    """Whether a browser says so. `own_url`: an address of this server that the header Host need not tell."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    if origin is None:
        origin = request.headers.get("referer")
        if not origin:
            return False
    return not (_is_host(origin, request.headers.get("host", "")) or _is_host(origin, _host_of(own_url)))


def is_navigation(request: Request) -> bool:
    """Whether a browser says that it opens a page in a window of its own: no other page can read that."""
    return (
        request.method in ("GET", "HEAD")
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )


def _host_of(url: str) -> str:
    return urlsplit(url).netloc if url else ""


def _is_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    port = _PORTS.get(parts.scheme, "")
    ours = host.lower().removesuffix(port) if port else host.lower()
    return bool(ours) and parts.netloc.lower().removesuffix(port) == ours
