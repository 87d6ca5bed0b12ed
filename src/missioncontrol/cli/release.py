"""`missioncontrol release`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.access_options import print_rows
from missioncontrol.cli.context import Settings, local_name, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.query.release_rows import VersionRow
    from missioncontrol.state.releases import Version

_HEADINGS = (
    "application", "channel", "version", "published", "by", "status", "builds", "note", "status since", "said by",
)  # fmt: skip
_STATUSES = ("accepted", "excluded", "worse")


@click.group("release")
def command() -> None:
    """See and say which versions were published when, and which may be compared with.

    A version is accepted (newer ones are compared with it), excluded, or judged worse.
    """


@command.command("list")
@with_settings
@click.option("--application", help="Only of this application.")
@click.option("--channel", help="Only of this channel.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, builds included.")
def list_(settings: Settings, application: str | None, channel: str | None, as_json: bool) -> None:
    """List versions by application and channel, the newest first, with since when a status holds and who gave it.

    Without a terminal: a line a version, columns separated by tabs. A status without a time holds from ever. The JSON
    has all statuses that a version had.

    \b
    Examples:
      missioncontrol release list
      missioncontrol release list --application Firefox --channel release
      missioncontrol release list --json | jq '.[] | select(.origin == "inferred")'
    """
    import msgspec

    from missioncontrol.query.release_rows import version_rows

    with open_services(settings) as services:
        versions = version_rows(services.releases.versions(application, channel))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(versions), indent=2))
    elif versions:
        print_rows(_HEADINGS, [_row(version) for version in versions], wrapped=("builds", "note"))
    else:
        click.echo("No release is known. `missioncontrol import releases FILE` reads them.", err=True)


@command.command("set")
@with_settings
@click.option("--application", required=True, help="Which application.")
@click.option("--channel", required=True, help="Which channel.")
@click.option("--version", required=True, help="Which version.")
@click.option(
    "--build-id", "build_ids", multiple=True, help="A build that was published then; may be repeated."
)
@click.option("--published-at", metavar="TIME", help="When, in ISO 8601; without a zone it is UTC.")
@click.option("--status", type=click.Choice(_STATUSES), help="Of the version, all its builds.")
@click.option("--note", help="Why.")
def set_(
    settings: Settings,
    application: str,
    channel: str,
    version: str,
    build_ids: tuple[str, ...],
    published_at: str | None,
    status: str | None,
    note: str | None,
) -> None:
    """Say when a version was published, or what is to be known of it.

    Without --build-id a time is that of the version's first build. What is not said stays as it is; what is said is
    never changed by itself. A status acts on what is judged from now on. To accept a version that was judged worse
    withdraws that verdict.

    \b
    Examples:
      missioncontrol release set --application Notes --channel stable --version 2.1 --published-at 2026-11-26T14:00Z
      missioncontrol release set --application Notes --channel stable --version 2.0.1 --status excluded --note halted
      missioncontrol release set --application Notes --channel stable --version 2.1 --status accepted --note 'one bot'
    """
    from typing import cast

    from missioncontrol.clock import system_clock, utc
    from missioncontrol.query.filters import parse_instant
    from missioncontrol.query.versions import is_version
    from missioncontrol.state.releases import Change, Status

    time = parse_instant("--published-at", published_at) if published_at is not None else None
    change = Change(build_ids, time, cast("Status | None", status), note)
    with open_services(settings, begins=True) as services:
        now = utc(system_clock())
        known = services.releases.change(application, channel, version, change, local_name(), now)
    click.echo(_sentence(known), err=True)
    if not is_version(known.version):
        click.echo("That is no version number, so it is ordered below all others.", err=True)


@command.command("remove")
@with_settings
@click.option("--application", required=True, help="Which application.")
@click.option("--channel", required=True, help="Which channel.")
@click.option("--version", required=True, help="Which version.")
@click.option("--build-id", help="Only this build of it.")
def remove(settings: Settings, application: str, channel: str, version: str, build_id: str | None) -> None:
    """Forget a version, or one build of it. Pings and crashes of it stay.

    What still arrives is inferred again; to keep it out of comparisons, set --status excluded.

    \b
    Example:
      missioncontrol release remove --application Firefox --channel release --version 133.0
    """
    with open_services(settings) as services:
        gone = services.releases.remove(application, channel, version, build_id)
    builds = "1 build" if len(gone) == 1 else f"{len(gone)} builds"
    click.echo(f"{application} {version} on {channel}: {builds} forgotten.", err=True)


@command.command("infer")
@with_settings
@click.option(
    "--recent", is_flag=True, help="Only what arrived in the last hours, as a server does by itself."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be kept.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON on stdout.")
def infer_(settings: Settings, recent: bool, dry_run: bool, as_json: bool) -> None:
    """Find builds that arrive steadily and that nobody named, and keep them as releases.

    Such a release is published when its steady arrival began, and says that this is inferred. What was imported or set
    is not changed. A running server looks every five minutes at the last hours; run this once after an import of
    older pings or aggregates.

    \b
    Examples:
      missioncontrol release infer --dry-run
      missioncontrol release infer --json
    """
    import os
    import signal

    import msgspec

    from missioncontrol.clock import system_clock, utc
    from missioncontrol.health.inference import infer
    from missioncontrol.processes import end_with_parent

    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with open_services(settings) as services:
        done = infer(services.engine, services.releases, utc(system_clock()), recent, store=not dry_run)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(done), indent=2))
        return
    for release in done.releases:
        values = (release.application, release.channel, release.version, release.build_id)
        note = (release.status, release.note)
        click.echo("\t".join((*values, f"{release.published_at:%Y-%m-%dT%H:%M:%SZ}", *note)))
    for skipped in done.skipped:
        what = " ".join((skipped.application, skipped.channel, skipped.version[:60], skipped.build_id[:60]))
        click.echo(f"Passed over: {what}: {skipped.why}", err=True)
    verb = "would be inferred" if dry_run else "inferred"
    count = len(done.releases)
    click.echo(f"{count:,} release{'s' if count != 1 else ''} {verb}.", err=True)


def _sentence(version: Version) -> str:
    builds = f" ({', '.join(version.build_ids)})" if version.build_ids else ""
    when = f"{version.published_at:%Y-%m-%d %H:%M:%S}"
    note = f": {version.note}" if version.note else ""
    since = version.statuses[-1].since
    from_then = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return (
        f"{version.application} {version.version}{builds} on {version.channel}, published {when} UTC"
        f" ({version.origin}), is {version.status}{from_then}{note}."
    )


def _row(version: VersionRow) -> tuple[str, ...]:
    return (
        version.application, version.channel, version.version, f"{version.published_at:%Y-%m-%dT%H:%M:%SZ}",
        version.origin, version.status, ",".join(version.build_ids), version.note,
        f"{version.status_since:%Y-%m-%dT%H:%M:%SZ}" if version.status_since else "", version.status_by or "",
    )  # fmt: skip
