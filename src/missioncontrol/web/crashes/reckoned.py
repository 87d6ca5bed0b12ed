"""How the counts of the pages of crashes were made.

Takes what a page asked for and its sums; asks nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from missioncontrol.query import dialect
from missioncontrol.query.crash_selection import Selection, weight_of, written
from missioncontrol.web.numerals import amount
from missioncontrol.web.reckoning import Reckoning, rows_of


def count_of(selection: Selection, count: float, reports: int) -> Reckoning:
    """Of the number of crashes or reports of a page."""
    rows = rows_of("reports", selection.start, selection.end)
    query = f"SELECT sum({weight_of(selection)}) AS crashes, count(*) AS reports\n{_from(selection)}"
    if selection.weighted:
        formula = f"Sum of 1 ÷ the share that the collector kept, over all reports = {amount(count)}"
    else:
        formula = f"Reports that fit the filters, a crash once = {amount(count)}"
    return Reckoning("count of crashes", formula, [("Reports", amount(reports)), rows], query)


def products_of(start: datetime, end: datetime) -> Reckoning:
    """Of the numbers of each product: reports, which are not weighted by what the collector kept."""
    query = (
        "SELECT product, count(*) AS reports,\n"
        f'  count(*) FILTER ("date" >= {dialect.instant(end - timedelta(days=1))}) AS last_day,\n'
        "  count(DISTINCT signature) AS signatures, count(*) FILTER (signature IS NULL) AS without_any\n"
        f"{_from(Selection(start, end))}\nGROUP BY product ORDER BY reports DESC, product"
    )
    return Reckoning(
        "reports and signatures of products",
        "Reports of the product, of the last 24 hours among them, and their different signatures",
        [rows_of("reports", start, end)],
        query,
    )


def ranking_of(selection: Selection, count: float, signatures: int, shown: int, skipped: int) -> Reckoning:
    """Of the counts and shares of signatures."""
    weight = weight_of(selection)
    query = (
        f"SELECT signature, sum({weight}) AS crashes, sum({weight}) / sum(sum({weight})) OVER () AS share\n"
        f"{_from(selection)}\nGROUP BY signature ORDER BY crashes DESC, signature LIMIT {shown}"
    ) + (f" OFFSET {skipped}" if skipped else "")
    return Reckoning(
        "counts and shares of signatures",
        f"Count: reports of the signature that fit the filters. Share: count ÷ {amount(count)} of all signatures",
        [
            ("Signatures", amount(signatures)),
            rows_of("reports", selection.start, selection.end),
        ],
        query,
        "Reports are weighted by the share that the collector kept." if selection.weighted else "",
    )


def _from(selection: Selection) -> str:
    return f"FROM crashes\nWHERE {written(selection)}"
