"""What is said of a release: one look, what it rests on, and the course of all looks.

Ratios are factors (1: as predecessors), never logarithms, except `evidence` (log10 of an e-value). A number is null
when it is not known. Times are aware and UTC.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

METHOD = "2"
"""Changes when the method of verdicts does; part of the hash of a baseline."""
Where = dict[str, str]
"""Users by dimension, `{"os_name": "Linux"}`; in most places null means everywhere."""


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is judged: one measure of one version, or one crash signature of it."""

    application: str
    channel: str
    version: str
    measure: str
    signature: str = ""
    """Only crashes of this signature, counted by crash reports; empty: all that the measure counts."""


class Forecast(msgspec.Struct, frozen=True):
    """When a ratio will be decided; null: never with this history."""

    age_hours: float | None
    hours_left: float | None
    usage_hours_left: float | None


class Look(msgspec.Struct, frozen=True):
    """The verdict at one time, from what had arrived by then."""

    as_of: datetime
    age_hours: float
    verdict: str
    """worse, better, same, too-early, environment or data-problem; worse stays until a person withdraws it."""
    ratio: float | None
    low: float | None
    """Ends of the 95 % interval that holds at all looks at once."""
    high: float | None
    evidence: float
    """log10 of the e-value; 2 is an alarm."""
    observed: float
    expected: float
    slice: Where | None = None
    """Where it is worse; null: everywhere, or not worse."""
    forecast: dict[str, Forecast] = {}
    """By ratio ("1.25", "1.5", "2"); empty unless too-early."""
    reasons: list[str] = []
    """Codes of what made it so; `docs/reference/verdicts.md` lists them."""
    since: datetime | None = None
    """When worse was first given; it stays where that was withdrawn."""


class ReplayLine(msgspec.Struct, frozen=True):
    """A look as `verdict --json` prints it: the promise to programs, without what may be added to a look."""

    as_of: datetime
    age_hours: float
    verdict: str
    ratio: float | None
    low: float | None
    high: float | None
    evidence: float
    observed: float
    expected: float
    slice: Where | None
    forecast: dict[str, Forecast]


def replay_line(look: Look) -> ReplayLine:
    """What of a look is promised to programs."""
    return ReplayLine(*(getattr(look, name) for name in ReplayLine.__struct_fields__))


class Step(msgspec.Struct, frozen=True):
    """One correction on the way from the raw ratio to the verdict's: `raw`, `strata`, `age`, `environment`."""

    name: str
    ratio: float | None


class SliceLook(msgspec.Struct, frozen=True):
    """Some users, judged by themselves; `where` empty: all."""

    where: Where
    observed: float
    expected: float
    ratio: float | None
    low: float | None
    high: float | None
    usage_share: float
    """Of the release's usage hours."""


class Explanation(msgspec.Struct, frozen=True):
    """Users `where` (empty: everywhere) have `ratio` times what was expected, the rest `rest` times.

    score: log likelihood less that of the harmless explanation; share: of the excess that is theirs.
    """

    where: Where
    score: float
    ratio: float
    low: float | None
    high: float | None
    rest: float | None
    rest_low: float | None
    rest_high: float | None
    share: float


class SignatureShare(msgspec.Struct, frozen=True):
    """A crash signature that carries a share of the excess, by crash reports, against predecessors at the same age."""

    signature: str | None
    observed: float
    """Crashes that the reports stand for."""
    expected: float
    share: float | None = None
    """Of the excess of crash reports; null when there are no more reports than expected."""
    ratio: float | None = None
    """With its 95 % interval; null for one that is new."""
    low: float | None = None
    high: float | None = None
    new: bool = False
    """No predecessor had it."""


class SignatureBasis(msgspec.Struct, frozen=True):
    """What signatures were found by: the release's reports, and how many predecessors' are known at that age.

    looked_at: signatures that could have been named; where: the users whose reports these are, null: all.
    """

    reports: int
    predecessors: int
    looked_at: int
    where: Where | None = None


class Due(msgspec.Struct, frozen=True):
    """Events to be expected of a predecessor.

    curve: at each of `Account.ages`, as far as the look's age; systems: at the age to which its crash reports are
    counted, by system, "": of everyone.
    """

    version: str
    curve: list[float]
    systems: dict[str, float]


class Exposure(msgspec.Struct, frozen=True):
    """What the crash reports of a release are weighed by: reports are counted by whole hours, events by windows.

    as_of, age_hours: of the look that it belongs to; whole: part of the usage so far that is of whole hours; usage:
    that much of the measure's denominator; due: of the predecessors that are used.
    """

    as_of: datetime
    age_hours: float
    whole: float
    usage: float
    due: list[Due]


class Predecessor(msgspec.Struct, frozen=True):
    """One earlier release: `used` for the baseline, or why not. ratios: observed over expected at `Account.ages`."""

    version: str
    used: bool
    why: str
    ratios: list[float | None]


class DataHealth(msgspec.Struct, frozen=True):
    """How good the data of a look is.

    completeness: share of the usage hours so far that have arrived; imputed: share of hours that stand for lost pings;
    seen: pings of the last half hour over what was forecast; environment: factor by which all versions moved.
    """

    completeness: float
    imputed: float
    seen: float | None
    environment: float
    dispersion: float
    spread: float
    """sd of the logarithm of a harmless release's ratio at this age."""


class Crossing(msgspec.Struct, frozen=True):
    """What was seen of those who are worse at the look at which that was first given (`Look.since`)."""

    ratio: float
    low: float
    high: float


class Account(msgspec.Struct, frozen=True):
    """One look and all that it rests on."""

    subject: Subject
    published_at: datetime
    inferred: bool
    """The publication time is a guess from the first sustained arrival of a build."""
    look: Look
    sentence: str
    steps: list[Step]
    slices: list[SliceLook]
    explanations: list[Explanation]
    """Best first; those within 3 of the best score are not told apart."""
    ages: list[float]
    """Hours, for `predecessors`."""
    predecessors: list[Predecessor]
    data: DataHealth
    baseline: str
    """Hash of what was learned from predecessors, and of the method."""
    signatures: list[SignatureShare] = []
    """Those that carry the excess, the largest first; only of what is worse."""
    reports: SignatureBasis | None = None
    """null: signatures were not looked for."""
    exposure: Exposure | None = None
    """Of measures that count crashes, where there is something to compare with."""
    crossed: Crossing | msgspec.UnsetType = msgspec.UNSET
    """Only of a worse whose interval holds 1 by now, where it is shown; it is looked up, and not kept."""


class Course(msgspec.Struct, frozen=True):
    """All looks of a release, oldest first, with the account of the last."""

    account: Account
    looks: list[Look]


class Change(msgspec.Struct, frozen=True):
    """A verdict that is another than the look before gave; `before` is null for the first."""

    before: Look | None
    account: Account
