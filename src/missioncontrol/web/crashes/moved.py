"""Which versions a signature moves: its rate per usage hour in the life of each, against those before at the same age.

Pure: takes hours, gives what the page prints. Each version is measured by the usage hours of its own first days and
those of its predecessors to the same age; it is no verdict, which corrects for users and days too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import numpy as np

from missioncontrol.health.looking import bounds
from missioncontrol.health.model import Subject
from missioncontrol.health.published import Version, owner_of
from missioncontrol.query.signature_counts import Stretch, whole_hour
from missioncontrol.query.signature_history import Beginning, CrashHour, UsageHour
from missioncontrol.verdict.carriers import Counts, carriers
from missioncontrol.verdict.tables import Floats
from missioncontrol.web.crashes.address import CrashState
from missioncontrol.web.crashes.woven import Carrying
from missioncontrol.web.verdicts.view import verdict_address

SHOWN, LOADED = 8, 13
"""Versions in the table, and those that they are compared with beside."""
LIFE_HOURS = 14 * 24
SPARK_WIDTH, SPARK_HEIGHT = 160, 28
_BINS = 16
_LEAST_DRAWN = 24
_LEAST_USAGE = 0.01
"""Of a version's usage; a bar of less would tell of chance alone."""
_PER = 1000.0
_HOUR_S = 3600


class Course(msgspec.Struct, frozen=True):
    """Rates by age as bars in a box of `SPARK_WIDTH` x `SPARK_HEIGHT`; what is not known is a gap."""

    path: str
    says: str


class MovedRow(msgspec.Struct, frozen=True):
    """A version and its crashes with the signature up to an age. Rates are per 1,000 usage hours; None: not known."""

    version: str
    published_at: datetime
    age_hours: float
    crashes: float
    reports: int
    share: float | None
    """Of its crashes by reports."""
    usage_hours: float | None
    rate: float | None
    rate_before: float | None
    """Of those before at the same age, all together."""
    compared: int
    """How many those are."""
    ratio: float | None
    low: float | None
    high: float | None
    mark: str
    """`new`, `more`, `fewer`, `alike`, or empty: it cannot be said."""
    first: datetime | None
    """The first hour with one."""
    first_build: str | None
    carrying: list[Carrying]
    verdict_href: str
    course: Course


class Moved(msgspec.Struct, frozen=True):
    """A channel's versions, the newest first."""

    application: str
    channel: str
    rows: list[MovedRow]
    began: Beginning | None
    """The first build with the signature, of the counts that are kept."""
    began_in: str
    """The version that this build counts for; empty: not known."""
    none_before: int
    """Versions published before that one that have crash reports, and none with the signature."""
    channels: list[tuple[str, str, bool]]
    """Title, address and whether it is this one, of channels that had it."""
    top: float
    """What the upper edge of the courses means."""
    drawn: int
    """Age in hours at their right edge."""
    hours: int
    """Age to which versions are compared, at most."""


def place_of(state: CrashState, known: Sequence[Beginning]) -> tuple[str, str] | None:
    """The application and channel with most crashes of the signature, of those that the address asks for."""
    sums: dict[tuple[str, str], float] = {}
    for one in known:
        key = one.application or "", one.channel or ""
        wanted = (not state.product or key[0] == state.product) and (
            not state.channel or key[1] == state.channel
        )
        if wanted and all(key):
            sums[key] = sums.get(key, 0.0) + one.crashes
    return min(sums, key=lambda key: (-sums[key], key), default=None)


def stretches_of(versions: Sequence[Version], now: datetime) -> list[Stretch]:
    """The whole hours of the first days of the newest versions that are out, oldest first.

    No version's are longer than the oldest age that is shown, since nothing is compared with what comes after.
    """
    out = [each for each in versions if each.published_at < now][-LOADED:]
    end = whole_hour(now)
    ages = [
        min((end - whole_hour(each.published_at)).total_seconds() / _HOUR_S, LIFE_HOURS)
        for each in out[-SHOWN:]
    ]
    life = timedelta(hours=max(ages, default=0.0))
    return [
        Stretch(
            each.version,
            each.builds,
            whole_hour(each.published_at),
            min(whole_hour(each.published_at) + life, end),
        )
        for each in out
    ]


def build_moved(
    state: CrashState,
    place: tuple[str, str],
    versions: Sequence[Version],
    lives: Lives,
    known: Sequence[Beginning],
    carrying: Sequence[Carrying],
    measure: str,
    phi: float,
) -> Moved:
    """Lay it out. versions: of the channel; measure: whose verdicts are linked; phi: dispersion of its counts."""
    owner, stretches = owner_of(versions), lives.stretches
    first = max(len(stretches) - SHOWN, 0)
    unfit = {each.version: bool(each.unfit) for each in versions}
    published = {each.version: each.published_at for each in versions}
    own = [one for one in known if (one.application, one.channel) == place]
    rates = [lives.binned(n) for n in range(first, len(stretches))]
    top = max((rate for line in rates for rate in line if rate is not None), default=0.0)
    rows = []
    for n in range(first, len(stretches)):
        version = stretches[n].version
        fit = [j for j in range(n) if not unfit[stretches[j].version]]
        of_version = [one for one in own if owner(one.version, one.build_id) == version]
        first_of = min(of_version, key=_first, default=None)
        row = lives.row(n, fit, published[version], phi)
        subject = Subject(*place, version, measure, state.signature or "")
        rows.append(
            msgspec.structs.replace(
                row,
                first=first_of.first if first_of else None,
                first_build=first_of.build_id if first_of else None,
                carrying=[
                    one
                    for one in carrying
                    if (one.application, one.channel, one.version) == (*place, version)
                ],
                verdict_href=verdict_address(subject) if state.signature else "",
                course=_course(rates[n - first], top, lives.drawn),
            )
        )
    began = min(own, key=_first, default=None)
    began_in = owner(began.version, began.build_id) if began else ""
    return Moved(
        *place,
        rows=rows[::-1],
        began=began,
        began_in=began_in,
        none_before=lives.reported_before(began_in),
        channels=_channels(state, place, known),
        top=top,
        drawn=lives.drawn,
        hours=lives.hours,
    )


class Lives:
    """[versions, hours of age] sums of crashes with the signature, of all, of reports and of usage."""

    def __init__(
        self,
        stretches: Sequence[Stretch],
        crashes: Sequence[CrashHour],
        usage: Sequence[UsageHour],
        owner: Callable[[str | None, str | None], str],
    ) -> None:
        self.stretches = stretches
        self.known = [int((each.end - each.start).total_seconds() // _HOUR_S) for each in stretches]
        self.hours = max(self.known, default=0)
        self.drawn = min(self.hours, max(2 * self.known[-1], _LEAST_DRAWN)) if self.known else 0
        """Age to which rates are drawn: twice that of the newest version."""
        place = {each.version: n for n, each in enumerate(stretches)}
        start = [int(each.start.timestamp() // _HOUR_S) for each in stretches]
        self.own, self.all, self.own_reports, self.all_reports, self.usage = (
            np.zeros((len(stretches), self.hours)) for _ in range(5)
        )
        self._place, self._start = place, start
        for row in crashes:
            at = self._at(owner(row.version, row.build_id), row.hour)
            if at is not None:
                self.own[at] += row.crashes
                self.own_reports[at] += row.reports
                self.all[at] += row.all_crashes
                self.all_reports[at] += row.all_reports
        for used in usage:
            at = self._at(owner(used.version, used.build_id), used.hour)
            if at is not None:
                self.usage[at] += used.usage_hours

    def _at(self, version: str, hour: int) -> tuple[int, int] | None:
        n = self._place.get(version)
        if n is None:
            return None
        age = hour - self._start[n]
        return (n, age) if 0 <= age < self.known[n] else None

    def row(self, n: int, fit: Sequence[int], published_at: datetime, phi: float) -> MovedRow:
        """A version against the fit ones of before with reports and usage."""
        age = self.known[n]
        own, whole, reports = (float(t[n, :age].sum()) for t in (self.own, self.all, self.own_reports))
        used = float(self.usage[n, :age].sum())
        js = [j for j in fit if self.usage[j, :age].any() and self.all_reports[j, :age].any()]
        rate_before = ratio = low = high = None
        mark = ""
        if js and used > 0 and whole > 0:
            before = self.own[js, :age].sum()
            hours = self.usage[js, :age].sum()
            rate_before = float(_PER * before / hours)
            low, high = self._interval(n, js, age, phi)
            ratio = float(own / used / (before / hours)) if before else None
            low, high = bounds(ratio, low, high) if ratio is not None else (None, None)
            mark = _mark(own, float(before), low, high)
        return MovedRow(
            self.stretches[n].version, published_at.astimezone(UTC), float(age), own, int(reports),
            own / whole if whole else None, used or None, _PER * own / used if used else None, rate_before, len(js),
            ratio, low, high, mark, None, None, [], "", Course("", ""),
        )  # fmt: skip

    def reported_before(self, version: str) -> int:
        """How many of the versions before one have crash reports; 0 for one that is not known."""
        n = self._place.get(version, 0)
        return int((self.all_reports[:n].sum(axis=1) > 0).sum())

    def _interval(self, n: int, js: Sequence[int], age: int, phi: float) -> tuple[float, float]:
        """95 % interval of the ratio; the spread over releases is learned from this signature and the rest together."""

        def both(own: Floats, whole: Floats, of: Sequence[int]) -> Floats:
            one, every = own[of, :age].sum(axis=1), whole[of, :age].sum(axis=1)
            table: Floats = np.stack([one, every - one], axis=1)
            return table

        counts = Counts(
            both(self.own, self.all, [n])[0],
            both(self.own_reports, self.all_reports, [n])[0],
            both(self.own, self.all, js),
            both(self.own_reports, self.all_reports, js),
            float(self.usage[n, :age].sum()),
            self.usage[js, :age].sum(axis=1),
        )
        found = carriers(counts, phi)
        return float(found.low[0]), float(found.high[0])

    def binned(self, n: int) -> list[float | None]:
        """Rates in equal parts of the age that is drawn; None where it was hardly used, or is not that old."""
        edges = np.linspace(0, self.drawn, min(_BINS, max(self.drawn, 1)) + 1).round().astype(int)
        least = _LEAST_USAGE * float(self.usage[n, : self.drawn].sum())
        rates: list[float | None] = []
        for start, end in pairwise(edges):
            used = float(self.usage[n, start:end].sum())
            rates.append(_PER * float(self.own[n, start:end].sum()) / used if used > least else None)
        return rates


def _first(one: Beginning) -> tuple[datetime, str]:
    return one.first, one.build_id or ""


def _mark(own: float, before: float, low: float | None, high: float | None) -> str:
    if not before:
        return "new" if own else ""
    if low is not None and low > 1:
        return "more"
    return "fewer" if high is not None and high < 1 else "alike"


def _course(rates: Sequence[float | None], top: float, hours: int) -> Course:
    step = SPARK_WIDTH / max(len(rates), 1)
    bars = []
    for n, rate in enumerate(rates):
        if rate is not None:
            high = max(SPARK_HEIGHT * rate / top, 1.0 if rate else 0.5) if top else 0.5
            bars.append(f"M{n * step:.1f} {SPARK_HEIGHT}v-{high:.1f}h{step - 1:.1f}V{SPARK_HEIGHT}z")
    told = ", ".join("not known" if rate is None else f"{rate:.3g}" for rate in rates)
    wide = hours / max(len(rates), 1)
    return Course("".join(bars), f"per 1,000 usage hours, by {wide:.3g} h of age: {told}")


def _channels(
    state: CrashState, here: tuple[str, str], known: Sequence[Beginning]
) -> list[tuple[str, str, bool]]:
    places = {(one.application, one.channel) for one in known if one.application and one.channel}
    return [
        (f"{of} {on}", state.url(product=of, channel=on), (of, on) == here)
        for of, on in sorted((str(of), str(on)) for of, on in places)
    ]


def dispersions(found: Mapping[str, float], measure: str) -> float:
    """The dispersion that was learned of a measure's counts; of another measure of crashes where it has none."""
    return max(found.get(measure, max(found.values(), default=1.0)), 1.0)
