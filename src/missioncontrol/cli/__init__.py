"""The `missioncontrol` command: one module a noun, imported only when it is called.

Data goes to stdout, talk to stderr. Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 "worse".
"""

from __future__ import annotations

import importlib
import sys

import click

from missioncontrol import __version__
from missioncontrol.errors import MissionControlError

_COMMANDS = {
    "serve": ("serve", "Run everything: edge, stream, daily jobs, API and pages."),
    "demo": ("demo", "Simulate a fleet with one bad release and show it."),
    "stream": ("stream", "Move what was accepted from the log to the lake."),
    "spark": ("spark", "Run the stream on Spark, from Kafka into the lake."),
    "import": ("imports", "Import pings, aggregates, releases or crash reports from files."),
    "release": ("release", "See and say which versions were published when, and which may be compared with."),
    "backfill": ("backfill", "Make days of aggregate tables again from the archived pings."),
    "jobs": ("jobs", "See the runs of jobs, and ask for one again."),
    "verdict": ("verdict", "Say whether a release is worse than the ones before it."),
    "sql": ("sql", "Query the lake with SQL."),
    "calibrate": ("calibrate", "Try verdicts on the past: how often would they have been wrong?"),
    "crash": ("crash", "Send, process, look at and search crashes."),
    "symbols": ("symbols", "Upload symbols, and see which are missing."),
    "registry": ("registry", "List and check what is declared: applications, dimensions, measures."),
    "log": ("log", "Make the topic of a log that is on Kafka."),
    "lake": ("lake", "Look at and tidy the lake's tables."),
    "alert": ("alert", "Tell people and programs when a verdict changes."),
    "user": ("user", "Make and change the users who can sign in, and see who saw what."),
    "token": ("token", "Make, list and revoke API tokens."),
    "simulate": ("simulate", "Write simulated pings to files, or send them to a server."),
    "migrate": ("migrate", "Move an installation in a folder to S3 and PostgreSQL."),
    "config": ("config", "Show the settings in force."),
    "doctor": ("doctor", "Try whether what the installation stands on works."),
}
"""Name -> (module, one line of help). The help stands here so that `--help` imports nothing."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"missioncontrol.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], list(_COMMANDS), 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(error.message + hint, ctx) from None


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="missioncontrol")
@click.option("--data", metavar="DIR", help="Folder of the installation [MC_DATA, ./missioncontrol-data].")
@click.option("--config", metavar="FILE", help="Settings file [missioncontrol.toml].")
@click.pass_context
def cli(ctx: click.Context, data: str | None, config: str | None) -> None:
    """Release health: is this build worse than its predecessors were at the same age?

    \b
    Examples:
      missioncontrol serve                      everything on http://127.0.0.1:8000
      missioncontrol demo                       a simulated fleet, live
      missioncontrol import pings pings.ndjson.gz
      missioncontrol sql "SELECT channel, sum(main_crashes) FROM error_aggregates GROUP BY 1"
    """
    from missioncontrol.cli.context import Settings

    ctx.obj = Settings(data, config)


def main() -> None:
    """Entry of the console script. A user's mistake is one message on stderr, never a traceback."""
    try:
        cli(standalone_mode=False, prog_name="missioncontrol")
    except MissionControlError as error:
        click.echo(f"Error: {error.message}" + (f"\n{error.hint}" if error.hint else ""), err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except (
        OSError
    ) as error:  # what the system refuses (a folder without write permission, a full disk) is no bug
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {where}{error.strerror or error}", err=True)
        sys.exit(1)
