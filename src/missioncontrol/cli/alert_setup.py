"""`missioncontrol alert channel` and `missioncontrol alert rule`: set alerts up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import F, Settings, local_name, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.state.alert_channels import QuietHours

_TO = "Address of the hook, or e-mail addresses separated by commas; - reads it from stdin, out of sight of others."


@click.group("channel")
def channel() -> None:
    """Make, change, switch and remove channels."""


@click.group("rule")
def rule() -> None:
    """Make rules and take them away."""


def _quiet_options(function: F) -> F:
    """`--quiet` and what goes with it."""
    options = [
        click.option("--quiet", metavar="FROM-TO", help="Quiet hours, as in 22:00-07:00; none takes them away."),
        click.option("--zone", default="UTC", show_default=True, help="Time zone of quiet hours, as in Europe/Berlin."),
        click.option("--days", default="", metavar="DAYS", help="Days on which they begin, as in sat,sun [all]."),
        click.option("--passing", type=click.Choice(["critical", "warning", "none"]), default="critical",
                     show_default=True, help="Least severity that is told all the same."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@channel.command("add")
@with_settings
@click.argument("name")
@click.option("--kind", type=click.Choice(["webhook", "slack", "email"]), required=True, help="What it is.")
@click.option("--to", "target", required=True, metavar="TARGET", help=_TO)
@click.option("--owner-email", default="", metavar="ADDRESS", help="Who is told when it breaks.")
@click.option("--severity", type=click.Choice(["critical", "warning", "info"]), default="warning", show_default=True,
              help="It gets a rule for all changes of this severity or more.")  # fmt: skip
@click.option("--no-rule", is_flag=True, help="Or no rule yet.")
@_quiet_options
def add(
    settings: Settings, name: str, kind: str, target: str, owner_email: str, severity: str, no_rule: bool,
    quiet: str | None, zone: str, days: str, passing: str,
) -> None:  # fmt: skip
    """Make a channel. The key of a webhook's signatures is printed, this once.

    \b
    Examples:
      missioncontrol alert channel add stability --kind webhook --to https://example.com/hook
      echo "$SLACK_HOOK" | missioncontrol alert channel add room --kind slack --to - --severity critical
      missioncontrol alert channel add team --kind email --to ada@example.com --quiet 22:00-07:00
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        setup = services.alert_setup
        made = setup.add(
            name, kind, _read_target(target), local_name(), owner_email, _quiet(quiet, zone, days, passing),
            utc(system_clock()),
        )  # fmt: skip
        if not no_rule:
            setup.add_rule(made.name, "", "", "", severity)
    if made.secret:
        click.echo(made.secret)
        click.echo("This is the key of its signatures. It is not shown again.", err=True)
    click.echo(f"Alerts go to {made.shown_target}. Try it: missioncontrol alert test {made.name}", err=True)


@channel.command("change")
@with_settings
@click.argument("name")
@click.option("--to", "target", default="", metavar="TARGET", help=_TO)
@click.option("--owner-email", metavar="ADDRESS", help="Who is told when it breaks.")
@_quiet_options
def change(
    settings: Settings, name: str, target: str, owner_email: str | None, quiet: str | None, zone: str,
    days: str, passing: str,
) -> None:  # fmt: skip
    """Change where a channel goes, its owner's address or its quiet hours; what is not given stays.

    \b
    Examples:
      missioncontrol alert channel change stability --quiet 22:00-07:00 --zone Europe/Berlin
      missioncontrol alert channel change stability --quiet none
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        known = services.alert_channels.get(name)
        hours = known.quiet if quiet is None else _quiet(quiet, zone, days, passing)
        email = known.owner_email if owner_email is None else owner_email
        services.alert_setup.change(name, _read_target(target), email, hours, utc(system_clock()))
    click.echo(f"{name} is changed.", err=True)


@channel.command("on")
@with_settings
@click.argument("name")
def on(settings: Settings, name: str) -> None:
    """Switch a channel on. One that was broken is told what it missed and still holds.

    \b
    Example:
      missioncontrol alert channel on stability
    """
    _switch(settings, name, True)


@channel.command("off")
@with_settings
@click.argument("name")
def off(settings: Settings, name: str) -> None:
    """Switch a channel off. It is never told of what happens meanwhile.

    \b
    Example:
      missioncontrol alert channel off stability
    """
    _switch(settings, name, False)


@channel.command("secret")
@with_settings
@click.argument("name")
def secret(settings: Settings, name: str) -> None:
    """Give a webhook another key for its signatures, and print it. The old one signs nothing from now on.

    \b
    Example:
      missioncontrol alert channel secret stability
    """
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        click.echo(services.alert_setup.renew_secret(name, utc(system_clock())).secret)


@channel.command("remove")
@with_settings
@click.argument("name")
def remove(settings: Settings, name: str) -> None:
    """Forget a channel and its rules. What it was told stays in the log.

    \b
    Example:
      missioncontrol alert channel remove stability
    """
    with open_services(settings) as services:
        services.alert_setup.remove(name)
    click.echo(f"{name} is told no more.", err=True)


@rule.command("add")
@with_settings
@click.argument("name", metavar="ALERT_CHANNEL")
@click.option("--application", default="", help="Only of this application [any].")
@click.option("--channel", "release_channel", default="", help="Only of this release channel [any].")
@click.option("--measure", default="", help="Only of this measure [any].")
@click.option("--severity", type=click.Choice(["critical", "warning", "info"]), default="warning", show_default=True,
              help="The least: critical (became worse), warning, info (became as good as before).")  # fmt: skip
def add_rule(
    settings: Settings, name: str, application: str, release_channel: str, measure: str, severity: str
) -> None:
    """Say what a channel is told of. Of the same changes once more the severity counts.

    \b
    Examples:
      missioncontrol alert rule add stability --application Firefox --channel release --severity info
      missioncontrol alert rule add stability --measure main_crashes --severity critical
    """
    with open_services(settings) as services:
        made = services.alert_setup.add_rule(name, application, release_channel, measure, severity)
    click.echo(f"Rule {made.id}.", err=True)


@rule.command("remove")
@with_settings
@click.argument("rule_id", metavar="ID", type=int)
def remove_rule(settings: Settings, rule_id: int) -> None:
    """Take a rule away; `missioncontrol alert rules` has the ids.

    \b
    Example:
      missioncontrol alert rule remove 3
    """
    with open_services(settings) as services:
        services.alert_channels.remove_rule(rule_id)
    click.echo(f"Rule {rule_id} is gone.", err=True)


def _switch(settings: Settings, name: str, to_on: bool) -> None:
    from missioncontrol.clock import system_clock, utc

    with open_services(settings) as services:
        services.alert_setup.switch(name, to_on, local_name(), utc(system_clock()))
    click.echo(f"{name} is {'on' if to_on else 'off'}.", err=True)


def _read_target(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text


def _quiet(text: str | None, zone: str, days: str, passing: str) -> QuietHours | None:
    """Quiet hours as in 22:00-07:00; raises `BadRequest` (`bad_quiet_hours`)."""
    import msgspec

    from missioncontrol.errors import BadRequest
    from missioncontrol.state.alert_channels import QuietHours

    if text is None or text.strip() == "none":
        return None
    begins, dash, ends = text.partition("-")
    if not dash:
        raise BadRequest("bad_quiet_hours", f"{text[:40]!r} are no hours.", "As in 22:00-07:00, or none.")
    named = [day.strip() for day in days.split(",") if day.strip()]
    given = {"begins": begins.strip(), "ends": ends.strip(), "zone": zone, "days": named, "passing": passing}
    return msgspec.convert(given, QuietHours)
