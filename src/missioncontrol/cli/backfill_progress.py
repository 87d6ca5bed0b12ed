"""What `missioncontrol backfill` says while it runs: a bar on a terminal, a line a day, and the counts at the end.

Talk goes to stderr; the JSON answer, when it is asked for, is the only thing on stdout.
"""

from __future__ import annotations

from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from missioncontrol.errors import MissionControlError
    from missioncontrol.telemetry.backfill import DayReport
    from missioncontrol.telemetry.backfill_plan import Plan

_SPANS = 8
"""How many spans of days are named before the rest is only counted."""


class BackfillProgress:
    """Is told how a backfill goes on, and shows it. Use it as a context manager; call `summary` at the end."""

    def __init__(self, plan: Plan, today: date, as_json: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._plan, self._today, self._json = plan, today, as_json
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("Backfill"), BarColumn(), TextColumn("{task.fields[counted]}"), TimeRemainingColumn(),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("pings", total=None, counted="")
        self._reports: list[DayReport] = []
        self._failures: dict[date, MissionControlError] = {}
        self._done = 0
        self._days: int | None = None
        self._without_pings: tuple[date, ...] = ()

    def __enter__(self) -> BackfillProgress:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def begins(self, days: dict[date, int], done: frozenset[date]) -> None:
        """The days that are to be made, with their pings, and those that an earlier attempt has made."""
        from missioncontrol.telemetry.backfill_plan import days_without

        self._done, self._days = len(done), len(days) + len(done)
        self._without_pings = days_without({*days, *done}, self._plan, self._today)
        self._bar.update(self._task, total=sum(days.values()))
        if done:
            self._say(f"{_days_were(len(done))} made by an earlier attempt.")
        if not days and not done:
            self._say(
                f"No archived pings from {self._plan.first} to {self._plan.last}: nothing was replaced."
            )

    def read(self, pings: int) -> None:
        """So many more pings were read."""
        self._bar.advance(self._task, pings)
        task = self._bar.tasks[0]
        counted = f"{task.completed:,.0f} of {task.total or 0:,.0f} pings"
        counted += f", {task.speed:,.0f} a second" if task.speed else ""
        self._bar.update(self._task, counted=counted)

    def made(self, report: DayReport) -> None:
        """A day is in the tables."""
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
        """A day is as it was."""
        self._failures[day] = error
        self._say(f"{day} stays as it was: {error.message} {error.hint}".rstrip())

    def stopped(self) -> None:
        """Somebody pressed Ctrl-C."""
        from missioncontrol.telemetry.backfill_plan import stopped_words

        self._say(stopped_words(self._done + len(self._reports), self._days))

    def summary(self) -> None:
        """The counts of all days, by type of ping, and which days have nothing to be made of."""
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
        if self._days and self._without_pings:
            self._say(_gaps(self._without_pings))
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


def _days_were(count: int) -> str:
    return "1 day was" if count == 1 else f"{count:,} days were"


def _gaps(days: tuple[date, ...]) -> str:
    """As in `3 days have no archived pings and stay as they are: 2026-11-01, 2026-11-06 to 2026-11-07`."""
    from missioncontrol.telemetry.backfill_plan import spans

    found = spans(days)
    names = [str(first) if first == last else f"{first} to {last}" for first, last in found[:_SPANS]]
    rest = sum((last - first).days + 1 for first, last in found[_SPANS:])
    more = f" and {rest:,} more" if rest else ""
    have = (
        "1 day has no archived pings and stays as it is"
        if len(days) == 1
        else f"{len(days):,} days have no archived pings and stay as they are"
    )
    return f"{have}: {', '.join(names)}{more}."
