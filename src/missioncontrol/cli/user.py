"""`missioncontrol user`."""

from __future__ import annotations

from collections.abc import Callable

import click

from missioncontrol.cli.access_options import print_rows, read_password, scopes_option
from missioncontrol.cli.context import F, Settings, open_services, with_settings

_FIRST = ("admin",)
_LATER = ("read",)


def _password_option(function: F) -> F:
    option: Callable[[F], F] = click.option(
        "--password-stdin", "from_stdin", is_flag=True, help="Read the password from the first line of stdin."
    )
    return option(function)


@click.group("user")
def command() -> None:
    """Make and change the users who can sign in. A running server knows of it at once."""


@command.command("add")
@with_settings
@scopes_option("Repeat for several [the first user: admin; others: read].")
@_password_option
@click.argument("name")
def add(settings: Settings, scopes: tuple[str, ...], from_stdin: bool, name: str) -> None:
    """Make a user; asks for the password when there is a terminal.

    Scopes: read, protected, reprocess, symbols, ingest, and admin, which is all of them. From the first user on,
    whoever does not sign in may do only what access.anonymous says (read).

    \b
    Examples:
      missioncontrol user add ada
      missioncontrol user add grace --scope read --scope protected
      pass show mc/ada | missioncontrol user add ada --password-stdin
    """
    from missioncontrol.access.scopes import parse_scopes
    from missioncontrol.clock import system_clock, utc

    with open_services(settings, begins=True) as services:
        accounts = services.accounts
        given = parse_scopes(scopes) if scopes else (_LATER if accounts.users.any() else _FIRST)
        user = accounts.add_user(name, read_password(from_stdin), given, utc(system_clock()))
    click.echo(f"{user.name} can sign in at /login ({', '.join(user.scopes)}).", err=True)


@command.command("list")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def list_users(settings: Settings, as_json: bool) -> None:
    """List users and their scopes.

    \b
    Example:
      missioncontrol user list --json | jq -r '.[].name'
    """
    import msgspec

    with open_services(settings) as services:
        found = services.accounts.users.list()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    rows = [
        (u.name, ",".join(u.scopes), "provider" if u.subject else "password", f"{u.created_at:%Y-%m-%d}",
         "disabled" if u.disabled else "")
        for u in found
    ]  # fmt: skip
    print_rows(("name", "scopes", "signs in with", "created", ""), rows)
    if not rows:
        click.echo("No user yet: missioncontrol user add NAME", err=True)


@command.command("remove")
@with_settings
@click.argument("name")
def remove(settings: Settings, name: str) -> None:
    """Forget a user: signed out at once, and its tokens are revoked.

    \b
    Example:
      missioncontrol user remove ada
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        services.accounts.users.remove(name, utc(system_clock()))
        left = services.accounts.exist()
    click.echo(f"{name} is removed.", err=True)
    if not left:
        click.echo(
            "That was the last account: on a loopback address whoever sits here may do everything again.",
            err=True,
        )


@command.command("password")
@with_settings
@_password_option
@click.argument("name")
def password(settings: Settings, from_stdin: bool, name: str) -> None:
    """Set another password; whoever is signed in with the old one is signed out.

    \b
    Example:
      missioncontrol user password ada
    """
    from missioncontrol.errors import NotFound

    with open_services(settings) as services:
        accounts = services.accounts
        user = accounts.users.get(name)
        if user is None:
            raise NotFound(
                "unknown_user", f"There is no user {name[:100]}.", "See `missioncontrol user list`."
            )
        accounts.users.set_password(name, accounts.passwords.hash(read_password(from_stdin)))
    click.echo(f"{name} has another password.", err=True)


@command.command("scopes")
@with_settings
@scopes_option("Repeat for several.", required=True)
@click.argument("name")
def scopes_of(settings: Settings, scopes: tuple[str, ...], name: str) -> None:
    """Replace the scopes of a user, at once.

    \b
    Example:
      missioncontrol user scopes grace --scope read --scope protected
    """
    from missioncontrol.access.scopes import parse_scopes

    with open_services(settings) as services:
        services.accounts.users.set_scopes(name, parse_scopes(scopes))
    click.echo(f"{name}: {', '.join(parse_scopes(scopes))}.", err=True)


@command.command("disable")
@with_settings
@click.argument("name")
def disable(settings: Settings, name: str) -> None:
    """Lock a user out at once; its tokens don't work meanwhile.

    \b
    Example:
      missioncontrol user disable grace
    """
    _set_disabled(settings, name, True)


@command.command("enable")
@with_settings
@click.argument("name")
def enable(settings: Settings, name: str) -> None:
    """Let a disabled user in again.

    \b
    Example:
      missioncontrol user enable grace
    """
    _set_disabled(settings, name, False)


def _set_disabled(settings: Settings, name: str, disabled: bool) -> None:
    with open_services(settings) as services:
        services.accounts.users.set_disabled(name, disabled)
    click.echo(f"{name} is {'disabled' if disabled else 'enabled'}.", err=True)


@command.command("seen")
@with_settings
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="Most entries."
)
@click.option("--who", metavar="NAME", help="Only of this user or token.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def seen(settings: Settings, limit: int, who: str | None, as_json: bool) -> None:
    """List who saw which protected thing, the newest first.

    \b
    Examples:
      missioncontrol user seen
      missioncontrol user seen --who grace --limit 1000 --json
    """
    import msgspec

    with open_services(settings) as services:
        found = services.access_log.list(limit, who)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    rows = [(f"{s.at:%Y-%m-%d %H:%M:%S}", s.who, s.how, s.kind, s.thing, s.address) for s in found]
    print_rows(("when", "who", "how", "what", "which", "from"), rows)
