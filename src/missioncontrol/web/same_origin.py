"""Requests that change something must come from a page of this server, or from no page at all.

Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`); programs send neither. So a foreign page cannot
use its visitor's access to this server, and neither tokens nor cookies are needed for that.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from missioncontrol.errors import Forbidden

_PORTS = {"http": ":80", "https": ":443"}


def refuse_cross_site(request: Request) -> None:
    """Raises `Forbidden` (`cross_site`) when a browser says that another site's page sent the request."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site not in ("same-origin", "none"):
        raise _refusal()
    if origin is not None and not _is_host(origin, request.headers.get("host", "")):
        raise _refusal()


def _is_host(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    port = _PORTS.get(parts.scheme, "")
    ours = host.lower().removesuffix(port) if port else host.lower()
    return bool(ours) and parts.netloc.lower().removesuffix(port) == ours


def _refusal() -> Forbidden:
    hint = (
        "Open the page on this server and repeat it there. Behind a proxy: it must pass the header Host on."
    )
    return Forbidden("cross_site", "The request comes from a page of another site.", hint)
