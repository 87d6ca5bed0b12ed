"""`missioncontrol crash bug`: which bugs signatures have."""

from __future__ import annotations

import click

from missioncontrol.cli.context import Settings, local_name, open_services, with_settings


@click.group("bug")
def bug() -> None:
    """Link bugs to signatures, list the links, and take them away.

    BUG is an id with its tracker before it (bugzilla:1234567), an id alone where the settings name one tracker, or an
    address. A running server shows what changes at once.

    \b
    Examples:
      missioncontrol crash bug add 'OOM | small' bugzilla:1234567 --title 'Out of memory while painting'
      missioncontrol crash bug list 'OOM | small'
      missioncontrol crash bug remove 'OOM | small' bugzilla:1234567
    """


@bug.command("add")
@with_settings
@click.option("--title", default="", help="Of the bug; also gives a link that is there already another one.")
@click.argument("signature")
@click.argument("bug_", metavar="BUG")
def add(settings: Settings, title: str, signature: str, bug_: str) -> None:
    """Link a bug to a signature, whatever the product. Once more changes nothing.

    \b
    Examples:
      missioncontrol crash bug add 'OOM | small' bugzilla:1234567 --title 'Out of memory while painting'
      missioncontrol crash bug add poke_widget https://github.com/example/notes/issues/12
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        ref = services.bug_trackers.read(bug_)
        now = utc(system_clock())
        link = services.signature_bugs.add(signature, ref.tracker, ref.bug, title, local_name(), now)
        click.echo(f"`{link.signature}` has {services.bug_trackers.label(ref)}.", err=True)


@bug.command("list")
@with_settings
@click.option(
    "--json", "as_json", is_flag=True, help="The links as JSON on stdout, with ids, addresses, who and when."
)
@click.argument("signatures", nargs=-1, metavar="[SIGNATURE...]")
def list_(settings: Settings, as_json: bool, signatures: tuple[str, ...]) -> None:
    """List the bugs of these signatures, or of all.

    \b
    Examples:
      missioncontrol crash bug list
      missioncontrol crash bug list --json 'OOM | small' | jq '.[].url'
    """
    import msgspec

    from missioncontrol.crashes.bug_trackers import BugRef

    with open_services(settings) as services:
        store, trackers = services.signature_bugs, services.bug_trackers
        links = store.of_signatures(signatures) if signatures else store.list()
    refs = [BugRef(link.tracker, link.bug) for link in links]
    if as_json:
        found = [
            {**msgspec.to_builtins(link), "url": trackers.url(ref)}
            for link, ref in zip(links, refs, strict=True)
        ]
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    for link, ref in zip(links, refs, strict=True):
        click.echo("\t".join((link.signature, trackers.label(ref), trackers.url(ref), link.title)))
    click.echo(f"{len(links):,} bug{'s' if len(links) != 1 else ''}.", err=True)


@bug.command("remove")
@with_settings
@click.argument("signature")
@click.argument("bug_", metavar="BUG")
def remove(settings: Settings, signature: str, bug_: str) -> None:
    """Take the link of a bug away from a signature; the bug itself is not touched.

    \b
    Example:
      missioncontrol crash bug remove 'OOM | small' bugzilla:1234567
    """
    from missioncontrol.crashes.bug_trackers import BugRef
    from missioncontrol.errors import NotFound

    with open_services(settings) as services:
        store, trackers = services.signature_bugs, services.bug_trackers
        tracker, colon, number = bug_.rpartition(":")
        # A link whose tracker left the settings must still be possible to take away.
        link = store.find(signature, tracker, number) if colon else None
        if link is None:
            ref = trackers.read(bug_)
            link = store.find(signature, ref.tracker, ref.bug)
        if link is None:
            hint = "`missioncontrol crash bug list` has all."
            raise NotFound("unknown_link", f"`{signature}` has no bug {bug_}.", hint)
        store.remove(link.id)
        click.echo(f"`{signature}` no longer has {trackers.label(BugRef(link.tracker, link.bug))}.", err=True)
