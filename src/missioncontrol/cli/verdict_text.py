"""Verdicts as text: the sentence first, then the numbers it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import click
from rich.console import Console
from rich.table import Table

from missioncontrol.health.model import Account, Course
from missioncontrol.health.sentence import signatures_words, span, users

_WIDTH = 100
_STEPS = {
    "raw": "raw rate over the predecessors'",
    "strata": "by who uses it",
    "age": "by age and late hours",
    "environment": "by what moved all versions",
}


def print_accounts(accounts: Sequence[Account]) -> None:
    """A sentence each; then the numbers of all as a table, and of a single one all that it rests on."""
    for account in accounts:
        click.echo(account.sentence)
    if len(accounts) == 1:
        _print_numbers(accounts)
        _print_account(accounts[0])
    elif accounts:
        click.echo()
        _print_numbers(accounts)
    for account in accounts:
        _print_signatures(account)


def print_changes(courses: Sequence[Course]) -> None:
    """A line for each look at which the verdict changed."""
    for course in courses:
        if len(courses) > 1:
            click.echo(f"{course.account.subject.measure}:")
        before = ""
        table = _table(
            "as of", "age", "verdict", "ratio", "95 % interval", "evidence", "seen", "expected", "where"
        )
        for look in course.looks:
            if look.verdict == before:
                continue
            before = look.verdict
            table.add_row(
                f"{look.as_of:%Y-%m-%d %H:%M}",
                span(look.age_hours),
                look.verdict,
                _ratio(look.ratio),
                _interval(look.low, look.high),
                f"{look.evidence:.1f}",
                f"{look.observed:,.0f}",
                f"{look.expected:,.1f}",
                users(look.slice) if look.verdict == "worse" else "",
            )
        _show(table)


def _print_numbers(accounts: Sequence[Account]) -> None:
    table = _table("measure", "verdict", "ratio", "95 % interval", "evidence", "seen", "expected", "where")
    for account in accounts:
        look = account.look
        table.add_row(
            account.subject.measure,
            look.verdict,
            _ratio(look.ratio),
            _interval(look.low, look.high),
            f"{look.evidence:.1f}",
            f"{look.observed:,.0f}",
            f"{look.expected:,.1f}",
            users(look.slice) if look.verdict == "worse" else "",
        )
    _show(table)


def _print_account(account: Account) -> None:
    look = account.look
    if account.steps:
        click.echo("Ratio, corrected step by step:")
        table = _table("", "ratio")
        for step in account.steps:
            table.add_row(_STEPS.get(step.name, step.name), _ratio(step.ratio))
        _show(table)
    if account.explanations:
        click.echo("Where (best explanation first):")
        table = _table("users", "ratio", "95 % interval", "the rest", "95 % interval", "of the excess")
        for guess in account.explanations:
            table.add_row(
                users(guess.where),
                _ratio(guess.ratio),
                _interval(guess.low, guess.high),
                _ratio(guess.rest),
                _interval(guess.rest_low, guess.rest_high),
                f"{guess.share:.0%}",
            )
        _show(table)
    if look.forecast and "withdrawn" not in look.reasons:
        click.echo("When it will be decided:")
        table = _table("ratio", "age", "time left", "usage hours left")
        for ratio, due in sorted(look.forecast.items(), key=lambda pair: abs(log(float(pair[0])))):
            left = due.usage_hours_left
            table.add_row(
                f"{ratio}x",
                "never with this history" if due.age_hours is None else span(due.age_hours),
                "" if due.hours_left is None else span(due.hours_left),
                "" if left is None else f"{left:,.0f}",
            )
        _show(table)
    if account.steps:
        _print_data(account)
    used = [each.version for each in account.predecessors if each.used]
    click.echo(f"Compared with {len(used)} predecessors: {', '.join(used)}." if used else "No predecessors.")
    for each in account.predecessors:
        if not each.used:
            click.echo(f"Left out: {each.version}, {each.why}.")


def _print_data(account: Account) -> None:
    data = account.data
    seen = "not known" if data.seen is None else f"{data.seen:.0%} of forecast"
    click.echo(
        f"Data: {data.completeness:.0%} of the usage hours so far have arrived; pings of the last half hour {seen};"
        f" {data.imputed:.1%} of hours stand for lost pings; environment {data.environment:.2f}x;"
        f" a harmless release differs by about {data.spread:.0%}; crashes come in bursts of {data.dispersion:.1f}."
    )


def _print_signatures(account: Account) -> None:
    if account.reports is None:
        return
    click.echo(f"Crash signatures of {account.subject.measure}: {signatures_words(account)}")
    if not account.signatures:
        return
    table = _table("of the excess", "seen", "expected", "ratio", "95 % interval", "signature")
    for each in account.signatures:
        table.add_row(
            "" if each.share is None else f"{each.share:.0%}",
            f"{each.observed:,.0f}",
            f"{each.expected:,.1f}",
            "new" if each.new else _ratio(each.ratio),
            _interval(each.low, each.high),
            each.signature or "(none)",
        )
    _show(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        right = place > 0 and column not in ("verdict", "where", "age", "95 % interval", "signature")
        wide = column == "signature"
        table.add_column(
            column,
            justify="right" if right else "left",
            no_wrap=not wide,
            overflow="fold" if wide else "ellipsis",
        )
    return table


def _show(table: Table) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(table)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
