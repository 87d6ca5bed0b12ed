"""When the two sides of a comparison begin, where time counts from the release: the one place that says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from missioncontrol.web.address import SIDES, Side
from missioncontrol.web.measure.lines import Releases, publication
from missioncontrol.web.measure.lookup import Lookup
from missioncontrol.web.measure.question import WINDOW, Question, floor

if TYPE_CHECKING:
    from missioncontrol.state.releases import Release


class Beginning(msgspec.Struct, frozen=True):
    """Where age 0 of a side is."""

    start: datetime
    by: str
    """`release`, `inferred release`, `first data`, or `start`: the address says so."""
    version: str = ""
    """The one version that the side is of; empty: it is of none, or of several."""


def beginnings(question: Question, lookup: Lookup, releases: Releases) -> tuple[list[Beginning], list[str]]:
    """The beginnings of A and B, or what lacks for that, in words."""
    state = question.state
    published = releases(state.application, state.channel)
    found = [_beginning(side, question, published, lookup) for side in (state.a, state.b)]
    lacking = [
        f"{name.upper()} ({side.text}) is of no single version or build with data, so it has no time of publication"
        for name, side, one in zip(SIDES, (state.a, state.b), found, strict=True)
        if one is None
    ]
    return [one for one in found if one], lacking


def _beginning(
    side: Side, question: Question, published: Sequence[Release], lookup: Lookup
) -> Beginning | None:
    """Its own start; or the publication of the one build or version that the side and the page's filters leave, or the
    first data of that.
    """
    named = {name: _only(name, side, question) for name in ("build_id", "version")}
    version = named["version"] or version_of(named["build_id"], published)
    if side.start:
        return Beginning(floor(side.start, WINDOW), "start", version)
    for name, value in named.items():
        began = publication(published, name, value) if value else None
        if began:
            return Beginning(*began, version)
    for name, value in named.items():
        if value:
            of = msgspec.structs.replace(question.of, filters=())
            first = lookup.first_data(of, "version" if name == "version" else "build_id", [value])
            if first:
                return Beginning(first[0].start, "first data", version)
    return None


def _only(dimension: str, side: Side, question: Question) -> str:
    """The one value that a dimension may have; empty: there are several."""
    for one in (*side.filters, *question.of.filters):
        if one.dimension == dimension and one.null is None and len(one.values) == 1:
            return one.values[0]
    return ""


def version_of(build_id: str, published: Sequence[Release]) -> str:
    """The version of a build; empty: it is not known, or several have it."""
    versions = {one.version for one in published if build_id and one.build_id == build_id}
    return versions.pop() if len(versions) == 1 else ""
