"""`/api/v1/verdicts`: what was said of releases, when, and on what it rested; read from the table `verdicts`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from missioncontrol.errors import BadRequest, NotFound
from missioncontrol.health.model import METHOD, Account, Look, Subject
from missioncontrol.health.records import MOST_LOOKS, Filter, Record
from missioncontrol.web.api_route import StrictRoute, as_json
from missioncontrol.web.verdicts.kept import of_releases

if TYPE_CHECKING:
    from collections.abc import Callable

    from missioncontrol.health.courses import Courses
    from missioncontrol.health.records import Records
    from missioncontrol.state.releases import Releases

_Name = Annotated[str | None, Query(description="Only these.", min_length=1)]
_Needed = Annotated[str, Query(min_length=1)]
_Time = Annotated[str | None, Query(description="ISO 8601; without offset UTC.")]


class Verdict(msgspec.Struct, frozen=True):
    """The newest look at a subject; `account` is the newest that was kept, at most an hour older."""

    application: str
    channel: str
    version: str
    measure: str
    published_at: datetime
    look: Look
    baseline: str
    method: str
    account: Account | None


class Verdicts(msgspec.Struct, frozen=True):
    """Answer of /api/v1/verdicts."""

    verdicts: list[Verdict]


class History(msgspec.Struct, frozen=True):
    """Answer of /api/v1/verdicts/history."""

    subject: Subject
    looks: list[Look]
    complete: bool
    """False: there are older ones."""


class Explained(msgspec.Struct, frozen=True):
    """Answer of /api/v1/verdicts/explanation. `course`: as the rows of now give it; null when not asked for."""

    verdict: Verdict
    course: list[Look] | None = None


def build_verdicts_api(
    records: Callable[[], Records], courses: Callable[[], Courses], releases: Callable[[], Releases]
) -> APIRouter:
    """The routes; all three are asked for at the first request that needs them."""
    router = APIRouter(tags=["verdicts"], route_class=StrictRoute)

    @router.get("/api/v1/verdicts", summary="What is said of current releases")
    def current(
        application: _Name = None, channel: _Name = None, version: _Name = None, measure: _Name = None
    ) -> Response:
        """The newest look at each measure of each version that was ever judged, with the newest account that was kept.

        Versions that are no releases any more (`DELETE /api/v1/releases`) are left out; `history` still has them.
        An installation without releases or history answers an empty list.
        """
        found = records().current(Filter(application, channel, version, measure))
        return as_json(Verdicts([_verdict(record) for record in of_releases(found, releases())]))

    @router.get("/api/v1/verdicts/history", summary="The looks at one measure of a version")
    def history(
        application: _Needed,
        channel: _Needed,
        version: _Needed,
        measure: _Needed,
        since: _Time = None,
        until: _Time = None,
        limit: Annotated[int, Query(ge=1, le=MOST_LOOKS)] = MOST_LOOKS,
    ) -> Response:
        """What was said at each look, oldest first, as it was said then; of more than `limit` the newest.

        Data that came late does not change them. Looks that nobody made (the server was off) are not there.
        """
        subject = Subject(application, channel, version, measure)
        looks = records().history(subject, _moment("since", since), _moment("until", until), limit + 1)
        return as_json(History(subject, looks[-limit:], len(looks) <= limit))

    @router.get("/api/v1/verdicts/explanation", summary="What a verdict rests on")
    def explanation(
        application: _Needed,
        channel: _Needed,
        version: _Needed,
        measure: _Needed,
        as_of: _Time = None,
        course: Annotated[bool, Query(description="Compute all looks up to then, for plots.")] = False,
        signature: Annotated[
            str, Query(max_length=300, description="Only crashes of this signature, by crash reports.")
        ] = "",
    ) -> Response:
        """The newest look that had been made by `as_of`, and the account that was newest then.

        `course` is computed anew from the rows that the lake has now, in a process of its own (503 when that takes
        too long): with data that came late it may differ from what was said, which `history` has. So is the verdict on
        a `signature`, which is not kept.
        """
        subject = Subject(application, channel, version, measure, signature)
        if signature:
            until = _moment("as_of", as_of) or datetime.now(UTC).replace(second=0, microsecond=0)
            found = courses().course(subject, until)
            return as_json(Explained(_worked_out(found.account), found.looks if course else None))
        record = records().known_at(subject, _moment("as_of", as_of))
        if record is None:
            raise NotFound(
                "no_verdict",
                f"No verdict on {measure} of {application} {version} on {channel} is known"
                + (f" as of {as_of}." if as_of else "."),
                "/api/v1/verdicts lists what is judged.",
            )
        looks = courses().course(subject, record.look.as_of).looks if course else None
        return as_json(Explained(_verdict(record), looks))

    return router


def _verdict(record: Record) -> Verdict:
    subject = record.subject
    return Verdict(
        subject.application,
        subject.channel,
        subject.version,
        subject.measure,
        record.published_at,
        record.look,
        record.baseline,
        record.method,
        record.account,
    )


def _worked_out(account: Account) -> Verdict:
    return _verdict(
        Record(account.subject, account.published_at, account.look, account.baseline, METHOD, account)
    )


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(
            "bad_time", f"`{name}` is no time: {text[:80]!r}.", "As in 2026-11-20T14:35:00Z."
        ) from None
