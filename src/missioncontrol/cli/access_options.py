"""Options and arguments that the commands of users and tokens share."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

import click

from missioncontrol.cli.context import F
from missioncontrol.errors import BadRequest

_LENGTH = re.compile(r"([1-9]\d{0,4})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}


def scopes_option(text: str, required: bool = False) -> Callable[[F], F]:
    """`--scope`, which may be given several times."""
    return click.option("--scope", "scopes", multiple=True, required=required, metavar="SCOPE", help=text)


def parse_length(text: str) -> timedelta:
    """`12h`, `90d`, `8w` or `1y`; raises `BadRequest` (`bad_length`)."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None:
        raise BadRequest("bad_length", f"{text[:40]!r} is no length of time.", "As in 12h, 90d, 8w or 1y.")
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def read_password(from_stdin: bool) -> str:
    """A new password from stdin or, twice, from the terminal; raises `BadRequest` (`no_password`)."""
    from missioncontrol.access.passwords import ADVISED

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        hint = "Send it to stdin with --password-stdin."
        raise BadRequest("no_password", "There is no terminal to ask for a password.", hint)
    if len(password) < ADVISED:
        click.echo(f"The password is short; {ADVISED} characters or more are advised.", err=True)
    return password


def print_rows(
    headings: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    wrapped: Collection[str] | None = None,
    right: Collection[str] = (),
) -> None:
    """A table on a terminal, lines of tabs elsewhere; a terminal shows as many cells of a row as there are headings.

    wrapped: headings of the columns whose cells may take several lines, None: all; right: of those that end together.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(" ".join(cell.split()) for cell in row))
        return
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=wrapped is not None and heading not in wrapped,
        )
    for row in rows:
        table.add_row(*map(Text, row[: len(headings)]))
    console.print(table)
