"""Cells of the tables of a measure as HTML: there are thousands, and a template takes far longer for each."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from missioncontrol.web import numerals


def number_cells(cells: Sequence[tuple[float | None, float | None]], rates: bool, with_per: bool) -> Markup:
    """`<td>` of (shown, per) for each line; `rates`: what is shown are rates."""
    text = numerals.rate if rates else numerals.amount
    if with_per:
        found = [
            f'<td class="n">{text(shown)}</td><td class="n weak">{numerals.amount(per)}</td>'
            for shown, per in cells
        ]
    else:
        found = [f'<td class="n">{text(shown)}</td>' for shown, _ in cells]
    # The texts are of our own making; `< 0.001` is the one that HTML would take for something else.
    return Markup("".join(found).replace(">< ", ">&lt; "))
