"""The pages that the bar at the top leads to, with their keys; the search knows them by the same names.

A new page is one line here.
"""

from __future__ import annotations

import msgspec


class PagePlace(msgspec.Struct, frozen=True):
    """A page of the navigation."""

    href: str
    title: str
    key: str
    """Pressed after `g` it leads there; empty: no key does."""
    beginnings: tuple[str, ...]
    """Paths that begin so belong to it."""
    often: bool = False
    """Stands in the bar itself; others are under "More"."""
    words: str = ""
    """What else somebody may call it who searches."""

    def holds(self, path: str) -> bool:
        """Whether the page at a path is it, or one of its own."""
        return path.startswith(self.beginnings) and (self.href == "/docs/api" or path != "/docs/api")


PLACES = (
    PagePlace("/verdicts", "Verdicts", "v", ("/verdict", "/carried"), True, "worse better judged"),
    PagePlace(
        "/crashes", "Crashes", "c", ("/crash", "/report", "/topcrashers", "/signature", "/search", "/symbols"), True,
        "reports products queue",
    ),
    PagePlace("/sql", "SQL", "s", ("/sql",), True, "query queries tables"),
    PagePlace("/pipeline", "Pipeline", "p", ("/pipeline",), True, "discards lag backlog received"),
    PagePlace("/experiments", "Experiments", "e", ("/experiments",), words="branches"),
    PagePlace("/releases", "Releases", "r", ("/releases",), words="versions published"),
    PagePlace("/alerts", "Alerts", "a", ("/alerts",), words="notifications rules channels"),
    PagePlace("/history", "History", "i", ("/history",), words="backfill days runs"),
    PagePlace("/registry", "Registry", "y", ("/registry",), words="measures dimensions probes declare"),
    PagePlace("/topcrashers", "Top crashers", "o", (), words="signatures ranking"),
    PagePlace("/calibration", "Calibration", "l", ("/calibration",), words="false alarms threshold"),
    PagePlace("/docs/", "Docs", "d", ("/docs",), words="documentation help guide"),
    PagePlace("/docs/api", "API", "", ("/docs/api",), words="http openapi"),
)  # fmt: skip
