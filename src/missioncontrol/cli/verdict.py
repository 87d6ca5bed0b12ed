"""`missioncontrol verdict`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.health.model import Course
    from missioncontrol.services import Services

_WORSE_EXIT = 3


@click.command("verdict")
@with_settings
@click.option("--application", required=True, metavar="A", help="As in the rows: Firefox.")
@click.option("--channel", required=True, metavar="C", help="As in the rows: release.")
@click.option("--version", metavar="V", help="What is judged [what was published last by now].")
@click.option(
    "--measure", metavar="M", help="What is counted, or `all` [main_crashes, or the first that there is]."
)
@click.option(
    "--signature", metavar="S", default="", help="Only crashes of this signature, counted by crash reports."
)
@click.option("--as-of", metavar="T", help="As it was known then, ISO 8601 [the newest window].")
@click.option("--replay", is_flag=True, help="Every look of the version's life, oldest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout; with --replay a line a look.")
def command(
    settings: Settings,
    application: str,
    channel: str,
    version: str | None,
    measure: str | None,
    signature: str,
    as_of: str | None,
    replay: bool,
    as_json: bool,
) -> None:
    """Say whether a version is worse than its predecessors were at the same age, how surely, and where.

    Exit code 3 when it is worse, for scripts that roll out; 0 otherwise, whatever else is said. A version that is not
    published yet is judged only when it is named, and is `too-early`. With `--measure all` the JSON is a list of
    objects that name their `measure`.

    \b
    Examples:
      missioncontrol verdict --application Firefox --channel release
      missioncontrol verdict --application Firefox --channel release --version 61.0 --json
      missioncontrol verdict --application Firefox --channel release --measure all
      missioncontrol verdict --application Firefox --channel beta --as-of 2026-04-29T15:00:00Z
      missioncontrol verdict --application Firefox --channel release --measure main_crashes --replay --json
      missioncontrol verdict --application Firefox --channel release --signature "OOM | small"
    """
    until = _moment(as_of) if as_of is not None else None
    with open_services(settings) as services:
        courses = _courses(services, application, channel, version, measure, until, signature)
    if as_json:
        _print_json(courses, replay, measure != "all")
    elif replay:
        from missioncontrol.cli.verdict_text import print_changes

        print_changes(courses)
    else:
        from missioncontrol.cli.verdict_text import print_accounts

        print_accounts([each.account for each in courses])
    if any(each.account.look.verdict == "worse" for each in courses):
        sys.stdout.flush()
        sys.exit(_WORSE_EXIT)


def _moment(text: str) -> datetime:
    from missioncontrol.errors import BadRequest
    from missioncontrol.state.moments import aware

    try:
        return aware(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        hint = "An example: 2026-04-29T15:00:00Z."
        raise BadRequest("bad_time", f"--as-of {text!r} is no ISO 8601 time.", hint) from None


def _courses(
    services: Services,
    application: str,
    channel: str,
    version: str | None,
    measure: str | None,
    as_of: datetime | None,
    signature: str,
) -> list[Course]:
    from missioncontrol.health.asking import courses

    return courses(
        services.engine,
        services.releases.list(application, channel),
        application,
        channel,
        version,
        measure,
        as_of,
        signature,
    )


def _print_json(courses: list[Course], replay: bool, one: bool) -> None:
    import msgspec

    from missioncontrol.health.model import replay_line

    def line(course: Course, place: int) -> dict[str, object]:
        look = course.looks[place] if replay else course.account.look
        told: dict[str, object] = msgspec.to_builtins(replay_line(look))
        return told if one else {"measure": course.account.subject.measure, **told}

    if replay:
        for course in courses:
            for place in range(len(course.looks)):
                click.echo(msgspec.json.encode(line(course, place)))
        return
    found = [line(course, -1) for course in courses]
    click.echo(msgspec.json.encode(found[0] if one else found))
