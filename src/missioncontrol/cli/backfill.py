"""`missioncontrol backfill`."""

from __future__ import annotations

from datetime import date, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from missioncontrol.cli.context import Settings, open_services, with_settings

if TYPE_CHECKING:
    from missioncontrol.errors import MissionControlError
    from missioncontrol.services import Services
    from missioncontrol.telemetry.backfill import DayReport
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
@click.option("--min-submission-date", "first", type=Day(), metavar="DAY", help="First day [yesterday, UTC].")
@click.option("--max-submission-date", "last", type=Day(), metavar="DAY", help="Last day [yesterday, UTC].")
@click.option(
    "--table", "tables", multiple=True, type=click.Choice(_TABLES), metavar="TABLE",
    help=f"Table to make again, repeatable: {', '.join(_TABLES)} [crash_aggregates].",
)  # fmt: skip
@click.option(
    "--rules", default="default", show_default=True, help="Rule set of crash_aggregates: default, cra or cav."
)
@click.option(
    "--incomplete", is_flag=True, help="Replace days also where the archive lacks pings that they have."
)
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
    workers: int | None,
    as_json: bool,
    origin: str,
) -> None:
    """Make days of aggregate tables again from the archived pings, under today's registry.

    Days are written YYYY-MM-DD or YYYYMMDD. Each day of a table is replaced in one commit; doing it twice changes
    nothing, and a server may run meanwhile. A backfill that was stopped goes on where it stood when it is started
    again with the same options. A day without archived pings stays as it is.

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
    from missioncontrol.telemetry.backfill_plan import TABLES, Plan

    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with open_services(settings) as services:
        rule_registry(rules, services.registry())
        first, last = _range(first, last)
        chosen = TABLES if "all" in tables else tuple(t for t in TABLES if t in tables) or TABLES[:1]
        run(services, Plan(chosen, first, last, rules, incomplete), as_json, workers, origin)


def run(
    services: Services, plan: Plan, as_json: bool, workers: int | None = None, origin: str = "command"
) -> None:
    """Run a plan, showing how it goes; exits with 1 when a day failed."""
    with services.backfill(workers) as job, _Progress(plan, as_json) as progress:
        fine = job.run(plan, progress, origin)  # type: ignore[arg-type]
    progress.summary()
    if not fine:
        raise SystemExit(1)


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


class _Progress:
    """A bar over the pings of all days on a terminal, a line a day, and the counts at the end."""

    def __init__(self, plan: Plan, as_json: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._plan, self._json = plan, as_json
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("Backfill"), BarColumn(), MofNCompleteColumn(), TextColumn("pings, {task.speed_text}"),
            TimeRemainingColumn(), console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("pings", total=None, speed_text="")
        self._reports: list[DayReport] = []
        self._failures: dict[date, MissionControlError] = {}
        self._done = 0

    def __enter__(self) -> _Progress:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def begins(self, days: dict[date, int], done: int) -> None:
        self._done = done
        self._bar.update(self._task, total=sum(days.values()))
        if done:
            self._say(f"{done} days were made by an earlier attempt.")
        if not days and not done:
            self._say(
                f"No archived pings from {self._plan.first} to {self._plan.last}: nothing was replaced."
            )

    def read(self, pings: int) -> None:
        self._bar.advance(self._task, pings)
        speed = self._bar.tasks[0].speed
        self._bar.update(self._task, speed_text=f"{speed:,.0f} a second" if speed else "")

    def made(self, report: DayReport) -> None:
        self._reports.append(report)
        rows = (
            ", ".join(f"{table} {count:,} rows" for table, count in report.rows.items())
            or "nothing to replace"
        )
        speed = report.pings / report.duration_s if report.duration_s else 0
        self._say(
            f"{report.day}: {report.pings:,} pings in {report.duration_s:.1f} s ({speed:,.0f} a second): {rows}"
        )

    def failed(self, day: date, error: MissionControlError) -> None:
        self._failures[day] = error
        self._say(f"{day} stays as it was: {error.message} {error.hint}".rstrip())

    def summary(self) -> None:
        """The counts of all days, by type of ping."""
        for title, counts in (
            ("Tables of the stream", self._counts("received")),
            (f"Rules {self._plan.rules}", self._counts("submitted")),
        ):
            for document, by_reason in counts.items():
                processed = by_reason.get("", 0)
                reasons = {reason: n for reason, n in sorted(by_reason.items()) if reason}
                why = f" ({', '.join(f'{r} {n:,}' for r, n in reasons.items())})" if reasons else ""
                self._say(
                    f"{title}: {document} pings: {processed:,} processed, {sum(reasons.values()):,} ignored{why}"
                )
        if self._json:
            self._print_json()

    def _counts(self, kind: str) -> dict[str, dict[str, int]]:
        total: dict[str, dict[str, int]] = {}
        for report in self._reports:
            for (document, reason), count in getattr(report, kind).items():
                by_reason = total.setdefault(document, {})
                by_reason[reason] = by_reason.get(reason, 0) + count
        return dict(sorted(total.items()))

    def _print_json(self) -> None:
        import json

        def shown(counts: dict[str, dict[str, int]]) -> dict[str, Any]:
            return {
                document: {
                    "processed": by_reason.get("", 0),
                    "ignored": {reason: n for reason, n in sorted(by_reason.items()) if reason},
                }
                for document, by_reason in counts.items()
            }

        days = [
            {"day": r.day.isoformat(), "pings": r.pings, "rows": r.rows, "duration_s": round(r.duration_s, 3)}
            for r in self._reports
        ]
        failures = [{"day": day.isoformat(), **error.as_dict()} for day, error in self._failures.items()]
        answer = {
            "days": days, "made_before": self._done, "failed": failures, "rules": self._plan.rules,
            "stream": shown(self._counts("received")), "crash_aggregates": shown(self._counts("submitted")),
        }  # fmt: skip
        click.echo(json.dumps(answer))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
