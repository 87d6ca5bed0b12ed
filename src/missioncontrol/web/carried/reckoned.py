"""How the numbers of the signatures of a release were computed: what was seen by SQL, what was to be expected in words.

Takes the facts and the view of them; asks nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from missioncontrol.query import dialect
from missioncontrol.query.signature_counts import TABLE, Stretch, whole_hour
from missioncontrol.web.carried.source import CarriedFacts
from missioncontrol.web.carried.view import SYSTEM, CarriedView
from missioncontrol.web.numerals import amount
from missioncontrol.web.reckoning import (
    MOST_OTHERS,
    Reckoning,
    Rows,
    among,
    between,
    place_conditions,
    rows_of,
)

_DOC = "/docs/reference/verdicts#crash-signatures"


def seen_of(facts: CarriedFacts, view: CarriedView) -> Reckoning:
    """Of the crashes of each signature."""
    own = facts.stretches[0]
    start, end = whole_hour(own.start), whole_hour(own.end)
    return Reckoning(
        "seen",
        f"Crash reports of {view.subject.version} by signature, each as many crashes as it stands for",
        [("Reports", amount(view.basis.reports)), rows_of("crash reports by the hour", start, end)],
        _query(facts, view, facts.stretches[:1], ["signature"]),
    )


def expected_of(facts: CarriedFacts, view: CarriedView) -> Reckoning:
    """Of what was to be expected of each signature, and of the ratios."""
    before = facts.stretches[1:]
    query = _query(facts, view, before, ["version", "signature"]) if before else ""
    return Reckoning(
        "expected",
        f"Crashes of the signature in the predecessors ÷ their {view.measure_title.lower()} to be "
        f"expected at the same age, × those to be expected of {view.subject.version}",
        [
            ("Predecessors", ", ".join(one.version for one in before) or "none with crash reports"),
            ("Ratio", "seen ÷ expected; its 95 % interval holds at every look"),
        ],
        note="What is to be expected is that of the verdict: corrected for usage, users and days.",
        inputs=[("Crashes of the predecessors by SQL", query)] if query else [],
        doc=_DOC,
    )


def _query(facts: CarriedFacts, view: CarriedView, stretches: Sequence[Stretch], by: Sequence[str]) -> str:
    """Crashes and reports in parts of the lives of versions."""
    subject, named = view.subject, ", ".join(by)
    conditions = place_conditions(subject.application, subject.channel)
    if facts.processes:
        conditions.append(among("process_type", facts.processes))
    if view.system:
        conditions.append(f"{SYSTEM} = {dialect.text(view.system)}")
    spans = []
    for one in stretches:
        start, end = whole_hour(one.start), whole_hour(one.end)
        others = tuple(build for version, build in facts.builds if version != one.version)
        rows = Rows(
            subject.application,
            subject.channel,
            one.version,
            start,
            end,
            "",
            one.builds,
            others[-MOST_OTHERS:],
        )
        spans.append(" AND ".join([rows.version_condition(), *between(start, end)]))
    conditions.append(f"({f'{chr(10)}  OR '.join(spans)})" if len(spans) > 1 else spans[0])
    where = "\n  AND ".join(conditions)
    return (
        f'SELECT {named}, sum(crashes) AS crashes, sum(reports) AS reports, count(*) AS "rows"\n'
        f"FROM {TABLE}\nWHERE {where}\nGROUP BY {named} ORDER BY crashes DESC, {named}"
    )
