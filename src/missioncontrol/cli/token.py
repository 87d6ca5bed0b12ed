"""`missioncontrol token`."""

from __future__ import annotations

import click

from missioncontrol.cli.access_options import parse_length, print_rows, scopes_option
from missioncontrol.cli.context import Settings, open_services, with_settings


@click.group("token")
def command() -> None:
    """Make, list and revoke API tokens. A running server knows of it at once."""


@command.command("create")
@with_settings
@click.option("--name", required=True, help="What it is for.")
@scopes_option("read, protected, reprocess, symbols, ingest or admin; repeat for several.", required=True)
@click.option("--expires", metavar="LENGTH", help="How long it works: 12h, 90d, 8w, 1y [for ever].")
@click.option(
    "--owner", default="", metavar="USER", help="The user whose it is: it can do no more than that user."
)
@click.option("--json", "as_json", is_flag=True, help="Print {id, token, scopes} on stdout.")
def create(
    settings: Settings, name: str, scopes: tuple[str, ...], expires: str | None, owner: str, as_json: bool
) -> None:
    """Make a token and print it. It is shown this once.

    \b
    Examples:
      missioncontrol token create --name dashboards --scope read
      missioncontrol token create --name ci --scope symbols --expires 90d --json | jq -r .token
      curl -H "Authorization: Bearer mc_..." http://127.0.0.1:8000/api/v1/pipeline
    """
    import msgspec

    from missioncontrol.access.scopes import parse_scopes
    from missioncontrol.clock import system_clock, utc

    now = utc(system_clock())
    ends = now + parse_length(expires) if expires else None
    with open_services(settings, begins=True) as services:
        first = not services.accounts.exist()
        made = services.accounts.make_token(name, parse_scopes(scopes), now, ends, owner)
    if as_json:
        shown = {"id": made.id, "token": made.token, "scopes": made.scopes}
        click.echo(msgspec.json.encode(shown))
    else:
        click.echo(made.token)
        click.echo(f"Token {made.id} ({', '.join(made.scopes)}). It is not shown again.", err=True)
    if first:
        _say_first()


@command.command("list")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def list_tokens(settings: Settings, as_json: bool) -> None:
    """List tokens, the newest first, never what they are known by.

    \b
    Examples:
      missioncontrol token list
      missioncontrol token list --json | jq -r '.[] | select(.revoked_at == null) | .id'
    """
    import msgspec

    with open_services(settings) as services:
        found = services.accounts.tokens.list()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    rows = [
        (
            t.id, t.name, t.owner or "-", ",".join(t.scopes), f"{t.created_at:%Y-%m-%d}",
            f"{t.expires_at:%Y-%m-%d}" if t.expires_at else "never",
            f"{t.used_at:%Y-%m-%d}" if t.used_at else "never", "revoked" if t.revoked_at else "",
        )
        for t in found
    ]  # fmt: skip
    print_rows(("id", "name", "owner", "scopes", "created", "expires", "used", ""), rows)
    if not rows:
        click.echo("No token yet: missioncontrol token create --name N --scope read", err=True)


@command.command("revoke")
@with_settings
@click.argument("token_id", metavar="ID")
def revoke(settings: Settings, token_id: str) -> None:
    """Make a token work no more, at once.

    \b
    Example:
      missioncontrol token revoke k3v9x0aq7m
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        token = services.accounts.tokens.revoke(token_id, utc(system_clock()))
    click.echo(f"Token {token.id} ({token.name}) works no more.", err=True)


def _say_first() -> None:
    click.echo(
        "From now on requests without a token or a sign-in may do only what access.anonymous says (read).",
        err=True,
    )
