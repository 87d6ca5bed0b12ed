"""`missioncontrol alert`: what was told, tests, and lists. What changes channels and rules is in `alert_setup`."""

from __future__ import annotations

import click

from missioncontrol.cli.access_options import print_rows
from missioncontrol.cli.alert_setup import channel, rule
from missioncontrol.cli.context import Settings, open_services, with_settings


@click.group("alert")
def command() -> None:
    """Tell people and programs when a verdict changes.

    A channel is where alerts go; its rules say what it is told of. A running server sends them; changes hold at once.

    \b
    Examples:
      missioncontrol alert channel add stability --kind webhook --to https://example.com/hook
      missioncontrol alert rule add stability --application Firefox --severity warning
      missioncontrol alert test stability
      missioncontrol alert log
    """


command.add_command(channel)
command.add_command(rule)


@command.command("channels")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def channels(settings: Settings, as_json: bool) -> None:
    """List the channels. Of an address the server alone is shown.

    \b
    Examples:
      missioncontrol alert channels
      missioncontrol alert channels --json | jq -r '.[] | select(.state == "broken") | .reason'
    """
    import msgspec

    with open_services(settings) as services:
        found = services.alert_channels.list()
    shown = [
        {
            "name": c.name, "kind": c.kind, "state": c.state, "reason": c.reason, "target": c.shown_target,
            "owner": c.owner, "owner_email": c.owner_email, "quiet": c.quiet,
        }
        for c in found
    ]  # fmt: skip
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2))
        return
    rows = [(c.name, c.kind, c.shown_target, c.owner, c.state, c.reason) for c in found]
    print_rows(("name", "kind", "goes to", "owner", "state", "why"), rows)
    if not rows:
        click.echo("No channel yet: missioncontrol alert channel add NAME --kind webhook --to URL", err=True)


@command.command("rules")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def rules(settings: Settings, as_json: bool) -> None:
    """List the rules: which changes go to which channel.

    \b
    Example:
      missioncontrol alert rules
    """
    import msgspec

    with open_services(settings) as services:
        names = {c.id: c.name for c in services.alert_channels.list()}
        found = services.alert_channels.rules()
    shown = [
        {
            "id": r.id, "to": names.get(r.channel_id, ""), "application": r.application,
            "channel": r.release_channel, "measure": r.measure, "severity": r.severity,
        }
        for r in found
    ]  # fmt: skip
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2))
        return
    rows = [
        (
            str(r.id), names.get(r.channel_id, ""), r.application or "any", r.release_channel or "any",
            r.measure or "any", r.severity,
        )
        for r in found
    ]  # fmt: skip
    print_rows(("id", "to", "application", "channel", "measure", "severity from"), rows)
    if not rows:
        click.echo("No rule yet: missioncontrol alert rule add CHANNEL", err=True)


@command.command("log")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option("--channel", default="", metavar="NAME", help="Only to this channel.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most to list.")
def log(settings: Settings, as_json: bool, channel: str, limit: int) -> None:
    """List messages, the newest first, with what the other side answered.

    \b
    Examples:
      missioncontrol alert log
      missioncontrol alert log --channel stability --json | jq -r '.[] | select(.status != "sent")'
    """
    import msgspec

    with open_services(settings) as services:
        found = services.alert_log.deliveries(limit, channel)
    if as_json:
        shown = [
            {**msgspec.to_builtins(d), "channel": d.channel_name, "to": "owner" if d.address else "channel"}
            for d in found
        ]
        for one in shown:
            del one["address"], one["channel_id"], one["channel_name"]
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2))
        return
    rows = [
        (f"{d.created_at:%Y-%m-%d %H:%M}", d.channel_name, d.status, str(d.attempts), d.text, d.answer)
        for d in found
    ]
    print_rows(("made", "channel", "state", "attempts", "what", "answer"), rows)


@command.command("test")
@with_settings
@click.argument("name")
def test(settings: Settings, name: str) -> None:
    """Send a test message at once, and say what the other side answered. Exit code 1 when it did not arrive.

    \b
    Example:
      missioncontrol alert test stability
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        outcome = services.alert_deliverer.test(services.alert_channels.get(name), utc(system_clock()))
    click.echo(outcome.answer, err=True)
    if outcome.result != "sent":
        raise SystemExit(1)
