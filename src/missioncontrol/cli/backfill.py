"""`missioncontrol backfill`."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.services import Services
    from missioncontrol.telemetry.backfill_plan import Plan

_TABLES = (
    "crash_aggregates", "error_aggregates", "experiment_aggregates", "client_aggregates", "usage_by_activity", "all",
)  # fmt: skip


class Day(click.ParamType):  # type: ignore[type-arg]
    """A day as YYYY-MM-DD or YYYYMMDD."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day, or a usage error."""
        if isinstance(value, date):
            return value
        for form, length in (("%Y-%m-%d", 10), ("%Y%m%d", 8)):
            try:
                if len(value) == length:
                    return datetime.strptime(value, form).date()  # noqa: DTZ007
            except ValueError:
                continue
        self.fail(f"{value[:40]!r} is no day; as in 2016-03-14 or 20160314.", param, ctx)


@click.command("backfill")
@with_settings
@click.option(
    "--min-submission-date", "first", type=Day(), metavar="DAY",
    help="First day [yesterday, or the last day if that is earlier].",
)  # fmt: skip
@click.option(
    "--max-submission-date", "last", type=Day(), metavar="DAY",
    help="Last day [yesterday, or the first day if that is later].",
)  # fmt: skip
@click.option(
    "--table", "tables", multiple=True, type=click.Choice(_TABLES), metavar="TABLE",
    help=f"Table to make again, repeatable: {', '.join(_TABLES)} [crash_aggregates].",
)  # fmt: skip
@click.option(
    "--rules", default="default", show_default=True, help="Rule set of crash_aggregates: default, cra or cav."
)
@click.option(
    "--incomplete", is_flag=True,
    help="Replace days also where the archive lacks pings that they have; both days must be given.",
)  # fmt: skip
@click.option("--on-spark", is_flag=True, help="Read pings on Spark, as [spark] in the settings says.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that read pings [one a core].")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON on stdout.")
@click.option("--origin", default="command", hidden=True)
def command(
    settings: Settings,
    first: date | None,
    last: date | None,
    tables: tuple[str, ...],
    rules: str,
    incomplete: bool,
    on_spark: bool,
    workers: int | None,
    as_json: bool,
    origin: str,
) -> None:
    """Make days of aggregate tables again from the archived pings, under today's registry.

    Days are written YYYY-MM-DD or YYYYMMDD. Each day of a table is replaced in one commit; doing it twice changes
    nothing, and a server may run meanwhile. A backfill that was stopped goes on where it stood when it is started
    again with the same options. A day without archived pings stays as it is. With error_aggregates the crash reports
    of the days are counted again too.

    \b
    Examples:
      missioncontrol backfill                                         crash_aggregates of yesterday
      missioncontrol backfill --min-submission-date 2026-11-01 --max-submission-date 20261130
      missioncontrol backfill --table all --min-submission-date 2026-11-24
      missioncontrol backfill --rules cra --min-submission-date 20160314 --max-submission-date 20160314
    """
    import os
    import signal

    from missioncontrol.processes import end_with_parent
    from missioncontrol.registry.rules import rule_registry
    from missioncontrol.telemetry.backfill_plan import TABLES, Plan, refuse_idle_rules

    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    refuse_vague(incomplete, first, last)
    with open_services(settings) as services:
        rule_registry(rules, services.registry())
        chosen = TABLES if "all" in tables else tuple(t for t in TABLES if t in tables) or TABLES[:1]
        refuse_idle_rules(chosen, rules, "--rules")
        first, last = _range(first, last)
        run(services, Plan(chosen, first, last, rules, incomplete), as_json, workers, origin, on_spark)


def run(
    services: Services,
    plan: Plan,
    as_json: bool,
    workers: int | None = None,
    origin: str = "command",
    on_spark: bool = False,
) -> None:
    """Run a plan, showing how it goes; exits with 1 when a day failed, or at Ctrl-C.

    Raises `BadRequest` (`day_in_future`).
    """
    from missioncontrol.cli.backfill_progress import BackfillProgress
    from missioncontrol.clock import system_clock, utc_date
    from missioncontrol.telemetry.backfill_plan import refuse_future

    today = utc_date(system_clock())
    refuse_future(plan.first, today)
    with services.backfill(workers, on_spark) as job, BackfillProgress(plan, today, as_json) as progress:
        try:
            fine = job.run(plan, progress, origin)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            progress.stopped()
            raise SystemExit(1) from None
    if "error_aggregates" in plan.tables:
        count_reports(services, plan.first, plan.last)
    progress.summary()
    if not fine:
        raise SystemExit(1)


def count_reports(services: Services, first: date, last: date) -> None:
    """Count the crash reports of days again, which needs no archive; says of how many days. Raises as a commit does."""
    counts = services.crash_counts()
    days = counts.days(first, last)
    if days:
        counts.count_again(days)
        plural = "s" * (len(days) != 1)
        click.echo(f"error_aggregates: crash reports of {len(days):,} day{plural} counted.", err=True)


def refuse_vague(incomplete: bool, first: date | None, last: date | None) -> None:
    """Refuse to lose counts of days that were not named. Raises `BadRequest` (`incomplete_without_days`)."""
    from missioncontrol.errors import BadRequest

    if incomplete and (first is None or last is None):
        raise BadRequest(
            "incomplete_without_days",
            "--incomplete replaces days for good, so the first and the last day must be given.",
            "A refused day is printed with the whole command that replaces it.",
        )


def _range(first: date | None, last: date | None) -> tuple[date, date]:
    from datetime import timedelta

    from missioncontrol.clock import system_clock, utc_date
    from missioncontrol.errors import BadRequest

    yesterday = utc_date(system_clock()) - timedelta(days=1)
    first = first or min(yesterday, last or yesterday)
    last = last or max(yesterday, first)
    if first > last:
        raise BadRequest("days_out_of_order", f"{first} comes after {last}.", "Swap the two days.")
    return first, last
