"""The view of the top crashers: the signatures of a span, and what changed since the span before.

Asks the table `crashes` through `CrashReports`, and which bugs the signatures have; shows nothing protected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from missioncontrol.query.crash_reports import CrashReports, Part, Ranked, Ranking
from missioncontrol.query.crash_selection import EMPTY, Selection
from missioncontrol.web.crashes.address import CrashState
from missioncontrol.web.crashes.bugs import BugLink, CrashBugs
from missioncontrol.web.crashes.charts import Spark, filled, intervals_of, spark
from missioncontrol.web.crashes.woven import Carrying

ON_A_PAGE = 50
MOST_IN_A_FILE = 10_000
_MOST_SYSTEMS = 4
_SHORT = {"Windows NT": "Windows", "Mac OS X": "macOS"}


class TopRow(msgspec.Struct, frozen=True):
    """A signature in the table."""

    rank: int
    rank_change: int | None
    """Places won (positive) since the span before; None: it was not there."""
    signature: str | None
    href: str
    count: float
    share: float
    """Of all crashes, 0 to 1."""
    share_change: float | None
    """Against the span before; None: there was nothing then."""
    systems: list[float]
    """In the order of the view's systems."""
    startup: float
    garbage: float
    installs: int
    first_seen: datetime | None
    new: bool
    """Its first report that is kept came in this span."""
    spark: Spark
    bugs: list[BugLink]
    carrying: list[Carrying] = []
    """What it carries of what is worse now."""

    @property
    def unnamed(self) -> bool:
        """Whether it stands for crashes that could not be named."""
        return self.signature is None or self.signature.startswith(EMPTY)

    @property
    def mostly_startup(self) -> bool:
        """Whether it is a crash of starting: at least half of its crashes were."""
        return self.startup * 2 >= self.count > 0

    @property
    def rank_says(self) -> str:
        """`up 3`, `down 1`, `same`, `not before`."""
        change = self.rank_change
        if change is None:
            return "not before"
        return "same" if change == 0 else f"up {change}" if change > 0 else f"down {-change}"


class TopView(msgspec.Struct, frozen=True):
    """All that the page shows."""

    rows: list[TopRow]
    systems: list[str]
    signatures: int
    count: float
    count_before: float
    reports: int
    sampled: int
    """Reports that stand for more than one crash."""
    empty: float
    """Crashes whose signature says that there is none, whichever page they are on: `EMPTY: ...`."""
    null: float
    """Crashes without a signature."""
    start: datetime
    end: datetime
    page: int
    pages: int


class Menus(msgspec.Struct, frozen=True):
    """What the filters offer: what there was in the last weeks."""

    products: list[str]
    versions: list[str]
    processes: list[str]
    systems: list[str]
    channels: list[str]


def build_top(
    state: CrashState,
    reports: CrashReports,
    bugs: CrashBugs,
    now: datetime,
    limit: int = ON_A_PAGE,
    carrying: Sequence[Carrying] = (),
) -> TopView:
    """The ranking that the address asks for; `carrying`: the signatures that carry what is worse now."""
    selection = state.selection(now)
    ranking = reports.ranking(selection, limit, (state.page - 1) * limit)
    names = [row.signature for row in ranking.rows]
    systems = reports.systems(selection, names)
    seen = reports.first_seen(names, state.product or None) if names else {}
    intervals = intervals_of(selection)
    number = intervals.number
    courses = filled(reports.over_time(selection, "signature", intervals, names), number)
    columns = _columns(systems.values())
    linked = bugs.of_signatures(names)
    rows = [
        _row(
            row,
            ranking,
            state,
            systems.get(row.signature, []),
            columns,
            seen,
            courses,
            selection,
            number,
            linked,
        )
        for row in ranking.rows
    ]
    rows = [msgspec.structs.replace(row, carrying=_carried(row.signature, state, carrying)) for row in rows]
    return TopView(
        rows, [_SHORT.get(name, name) for name in columns], ranking.signatures, ranking.count,
        ranking.count_before, ranking.reports, ranking.sampled, ranking.empty, ranking.null,
        selection.start, selection.end, state.page, -(-ranking.signatures // limit),
    )  # fmt: skip


def _row(
    row: Ranked, ranking: Ranking, state: CrashState, systems: Sequence[Part], columns: Sequence[str],
    seen: dict[str | None, datetime], courses: dict[str | None, list[float]], selection: Selection, number: int,
    linked: dict[str, list[BugLink]],
) -> TopRow:  # fmt: skip
    share = row.count / ranking.count
    before = row.count_before / ranking.count_before if ranking.count_before else None
    counts = {part.value: part.count for part in systems}
    first = seen.get(row.signature)
    return TopRow(
        row.rank, row.rank_before - row.rank if row.rank_before is not None else None, row.signature,
        state.url(path="/signature", signature=row.signature), row.count, share,
        share - before if before is not None else None, [counts.get(name, 0.0) for name in columns],
        row.startup, row.garbage, row.installs, first,
        first is not None and first >= selection.start and row.count_before == 0,
        spark(courses.get(row.signature, [0.0] * number)), linked.get(row.signature or "", []),
    )  # fmt: skip


def _carried(signature: str | None, state: CrashState, carrying: Sequence[Carrying]) -> list[Carrying]:
    """Those of the signature that are of the products and channels that the page is about."""
    return [
        one
        for one in carrying
        if one.signature == signature
        and state.product in ("", one.application)
        and state.channel in ("", one.channel)
    ]


def _columns(systems: Iterable[list[Part]]) -> list[str]:
    totals: dict[str, float] = {}
    for parts in systems:
        for part in parts:
            if part.value:
                totals[part.value] = totals.get(part.value, 0.0) + part.count
    return sorted(totals, key=lambda name: (-totals[name], name))[:_MOST_SYSTEMS]


def read_menus(reports: CrashReports, state: CrashState, now: datetime) -> Menus:
    """Values of the page's span, a week at least: all products, and of the chosen product the rest."""
    wide = CrashState(state.path, days=max(7, state.days), start=state.start, end=state.end, by=state.by)
    products = reports.breakdowns(wide.selection(now), ["product"], 200)["product"]
    of_product = msgspec.structs.replace(wide, product=state.product)
    names = ("version", "process type", "os name", "channel")
    found = reports.breakdowns(of_product.selection(now), names, 100)
    chosen = (state.product, "", state.process, state.os, state.channel)
    lists = [products, *(found[name] for name in names)]
    return Menus(*(_offered(parts, value) for parts, value in zip(lists, chosen, strict=True)))


def _offered(parts: Sequence[Part], chosen: str) -> list[str]:
    """The values, and the chosen one even where it is none of them."""
    values = [part.value for part in parts if part.value]
    return [*values, *([chosen] if chosen and chosen not in values else [])]


CSV_HEAD = (
    "rank", "rank_change", "signature", "count", "share", "share_change", "startup", "garbage_collection", "installs",
    "first_seen", "new", "bugs", "carries",
)  # fmt: skip


def csv_rows(view: TopView) -> list[list[object]]:
    """The table as rows of texts and numbers, the head first; a column a system at the end."""
    rows: list[list[object]] = [[*CSV_HEAD, *view.systems]]
    for r in view.rows:
        change = "" if r.rank_change is None else r.rank_change
        moved = "" if r.share_change is None else round(r.share_change, 6)
        seen = f"{r.first_seen:%Y-%m-%dT%H:%M:%SZ}" if r.first_seen else ""
        rows.append(
            [r.rank, change, r.signature or "", _plain(r.count), round(r.share, 6), moved, _plain(r.startup),
             _plain(r.garbage), r.installs or "", seen, "true" if r.new else "false",
             " ".join(bug.url or bug.label for bug in r.bugs),
             " ".join(f"{one.channel}/{one.version}/{one.measure}" for one in r.carrying), *map(_plain, r.systems)]
        )  # fmt: skip
    return rows


def _plain(count: float) -> float | int:
    return int(count) if count == int(count) else round(count, 2)
