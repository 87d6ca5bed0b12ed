"""One turn of judging: what is current, what is due, what is said of it, and that it is kept.

Every five minutes, once for each closed window. A turn makes the newest look that is due of each measure of each
current version, tells what changed, and appends all looks in one commit; whatever it is killed in, the next one makes
the same looks, and none twice. Looks that were missed while nothing ran are gone through, not kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import structlog

from missioncontrol.config import LakePlace
from missioncontrol.errors import MissionControlError
from missioncontrol.health.following import Failed, Following, Judged
from missioncontrol.health.model import Change, Subject
from missioncontrol.health.news import News, read_news
from missioncontrol.health.published import Version, moment_of, tick_of, versions_of
from missioncontrol.health.records import Records, State, append, turns
from missioncontrol.health.sums import ChannelSums, read_sums
from missioncontrol.lake.changes import changed_from
from missioncontrol.lake.snapshot import Snapshot
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.query.engine import Engine
from missioncontrol.state.release_model import Change as Said
from missioncontrol.state.release_model import Release
from missioncontrol.state.releases import Releases
from missioncontrol.verdict.grid import LIFE_TICKS
from missioncontrol.verdict.judge import WORSE
from missioncontrol.verdict.tables import TICKS_PER_HOUR

_TABLE, _ACTIVITY = "error_aggregates", "usage_by_activity"
_ALWAYS_CURRENT = 2
_TOGETHER_TICKS = TICKS_PER_HOUR
"""What arrived in longer is read channel by channel, so that not all of it is in memory at once."""

Tell = Callable[[Sequence[Change], datetime], object]
"""Takes changes of verdicts before they are kept; the same may come again after a failure or a kill."""

logger = structlog.get_logger()


@dataclass
class Turn:
    """What a turn came to. changes: verdicts that are others than before; failed: subjects and channels."""

    until: datetime
    looks: int = 0
    subjects: int = 0
    changes: list[Change] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    took_s: float = 0.0
    cpu_s: float = 0.0


@dataclass
class _Channel:
    """A channel in memory: by what it was made, and which versions of the tables it has read."""

    made_of: tuple[object, ...]
    versions: dict[str, int]
    following: Following


class Turns:
    """Judges one installation; for one process at a time."""

    def __init__(
        self, lake: LakePlace | Path, engine: Engine, writer: LakeWriter, releases: Releases, tell: Tell
    ) -> None:
        self._lake, self._engine, self._writer = lake, engine, writer
        self._releases, self._tell = releases, tell
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._states: dict[Subject, State] | None = None
        self._turn = 0

    def run(self, until: datetime, now: datetime) -> Turn:
        """Make the looks that are due of what had arrived in windows that had ended by `until`.

        What fails of one channel or subject is in the answer and stops no other. Raises `TooSlow`, `BadRequest`
        (`query_memory`), `StorageError` and `StorageFull` where nothing can be read or kept.
        """
        started, cpu = time.monotonic(), time.process_time()
        turn = Turn(moment_of(tick_of(until)))
        states = self._known()
        known = self._releases.list()
        made: list[Judged] = []
        present = {(release.application, release.channel) for release in known}
        for gone in set(self._channels) - present:
            del self._channels[gone]
        going: dict[tuple[str, str], _Channel] = {}
        for place in sorted(present):
            with self._alone(place, turn):
                channel = self._followed(*place, known, states, turn)
                if channel is not None:
                    going[place] = channel
        news = self._news(going, turn)
        for place, channel in going.items():
            with self._alone(place, turn):
                made += self._judge(channel, news.get(place), turn)
        self._keep(made, states, turn, now)
        self._label(known, states, now)
        turn.took_s, turn.cpu_s = time.monotonic() - started, time.process_time() - cpu
        return turn

    def _known(self) -> dict[Subject, State]:
        if self._states is None:
            self._turn = turns(self._writer, self._engine.registry())
            self._states = {state.record.subject: state for state in Records(self._engine).states()}
        return self._states

    @contextmanager
    def _alone(self, place: tuple[str, str], turn: Turn) -> Iterator[None]:
        """What fails of one channel stops no other."""
        try:
            yield
        except Exception as error:
            self._channels.pop(place, None)
            turn.failed.append(_failure(*place, error))

    def _judge(self, channel: _Channel, news: News | None, turn: Turn) -> list[Judged]:
        channel.following.go_on(tick_of(turn.until), news)
        outcome = channel.following.judge()
        turn.subjects += len(channel.following.subjects)
        turn.failed += [*channel.following.failed, *outcome.failed]
        return outcome.judged

    def _news(self, going: dict[tuple[str, str], _Channel], turn: Turn) -> dict[tuple[str, str], News]:
        """What arrived of those channels that go on from where the turn before was; the others read for themselves."""
        end = tick_of(turn.until)
        near = [
            place for place, channel in going.items() if 0 < end - channel.following.until <= _TOGETHER_TICKS
        ]
        if len(near) < 2:
            return {}
        try:
            found = read_news(self._engine, [going[place].following.wanted(end) for place in near], end)
        except Exception:
            return {}  # each by itself finds out whose it is
        return dict(zip(near, found, strict=True))

    def _followed(
        self,
        application: str,
        channel: str,
        known: Sequence[Release],
        states: dict[Subject, State],
        turn: Turn,
    ) -> _Channel | None:
        """The channel in memory, ready to go on; None while the lake has nothing, or nothing is to be judged."""
        versions = versions_of(known, application, channel)
        end = tick_of(turn.until)
        wanted = [
            each for each in current(versions, end) if not _over(each, application, channel, states, end)
        ]
        if not wanted:
            self._channels.pop((application, channel), None)
            return None
        found = (self._engine.reader.snapshot(name) for name in (_TABLE, _ACTIVITY))
        snapshots = [snapshot for snapshot in found if snapshot is not None]
        tables = {snapshot.table: snapshot.version for snapshot in snapshots}
        if _TABLE not in tables:
            return None
        names = [each.version for each in wanted]
        compared = tuple(_compared(each, end, each == wanted[-1]) for each in versions)
        made_of = (self._engine.registry().revision, compared)
        held = self._channels.get((application, channel))
        if (
            held is not None
            and held.made_of == made_of
            and held.following.versions.issuperset(names)
            and self._still_right(held, snapshots)
        ):
            held.following.forget(held.following.versions.difference(names))
            held.following.relabel(versions)
            held.versions = tables
            return held
        sums = read_sums(self._engine, known, application, channel, moment_of(end), names)
        subjects = [
            Subject(application, channel, each.version, measure)
            for each in wanted
            for measure in _measured(sums, each)
        ]
        following = Following(self._engine, sums, subjects, states)
        held = self._channels[application, channel] = _Channel(made_of, tables, following)
        return held

    def _still_right(self, held: _Channel, snapshots: Sequence[Snapshot]) -> bool:
        """Whether what is in memory can be gone on with; rows that are not what they were are forgotten."""
        following = held.following
        for snapshot in snapshots:
            of_activity = snapshot.table == _ACTIVITY
            since = held.versions.get(snapshot.table, -1)
            column = "arrival" if of_activity else "window_start"
            changed = changed_from(self._lake, snapshot, since, column=column)
            if changed is None:
                continue
            tick = tick_of(changed)
            # Rows of activity may be of the hour of their arrival, and of a young version are all read again anyway.
            if tick < following.learned - (TICKS_PER_HOUR if of_activity else 0):
                return False  # what was learned is not what it would be now
            if tick < following.until and not of_activity:
                following.rewind(tick)
        return True

    def _keep(self, made: Sequence[Judged], states: dict[Subject, State], turn: Turn, now: datetime) -> None:
        if not made:
            return
        turn.changes = [
            Change(each.before, each.account)
            for each in made
            if each.account is not None
            and (each.before is None or each.before.verdict != each.record.look.verdict)
        ]
        try:
            self._tell(turn.changes, now)
            kept = append(self._writer, self._engine.registry(), [each.record for each in made], self._turn)
        except BaseException:
            self._forget()
            raise
        if not kept:  # another process was faster
            turn.changes = []
            self._forget()
            return
        self._turn += 1
        turn.looks = len(made)
        for each in made:
            record, before = each.record, states.get(each.record.subject)
            accounted = record.look.as_of if each.account else before.accounted_at if before else None
            states[record.subject] = State(record, accounted)

    def _forget(self) -> None:
        self._states = None
        self._channels.clear()

    def _label(self, known: Sequence[Release], states: dict[Subject, State], now: datetime) -> None:
        """A version that is worse is so labelled, unless somebody said what it is."""
        plain = {
            (each.application, each.channel, each.version): each
            for each in known
            if each.status == "accepted" and not each.changed_by
        }
        worse = {
            (subject.application, subject.channel, subject.version): state.record
            for subject, state in sorted(states.items(), key=lambda item: item[0].measure)
            if state.record.look.verdict == WORSE
        }
        for key in sorted(plain.keys() & worse.keys()):
            record = worse[key]
            since = record.look.since or record.look.as_of
            note = f"Judged worse by {record.subject.measure} since {since:%Y-%m-%d %H:%M} UTC."
            try:
                self._releases.change(*key, Said(status="worse", note=note), "", now)
            except MissionControlError as error:
                logger.error("release_not_labelled", version=key[2], code=error.code, message=error.message)


def current(versions: Sequence[Version], end: int) -> list[Version]:
    """The versions that are judged when it is tick `end`: those of the last 14 days, and the two newest."""
    out = [each for each in versions if each.published < end]
    newest = out[-_ALWAYS_CURRENT:]
    return [each for each in out if end - each.published <= LIFE_TICKS or each in newest]


def _compared(version: Version, end: int, newest: bool) -> Version:
    """What of a version looks up to tick `end` are made of; what is said of the newest itself is no part of it."""
    labels = [label for label in version.labels if label.look <= end and not newest]
    changes = [
        b for a, b in pairwise([None, *labels]) if b is not None and (a is None or a.status != b.status)
    ]
    return replace(version, unfit="", labels=tuple(changes))


def _over(version: Version, application: str, channel: str, states: dict[Subject, State], end: int) -> bool:
    """Whether the last look of a version's life was made."""
    if end - version.published <= LIFE_TICKS:
        return False
    last = moment_of(version.published + LIFE_TICKS)
    key = (application, channel, version.version)
    return any(
        (subject.application, subject.channel, subject.version) == key and state.record.look.as_of >= last
        for subject, state in states.items()
    )


def _measured(sums: ChannelSums, version: Version) -> Iterable[str]:
    """The measures that a version, or one before it, has."""
    had = frozenset[str]().union(
        *(sums.cells.measured.get(each.version, ()) for each in (*sums.chain(version), version))
    )
    return [name for name in sums.measures if name in had]


def _failure(application: str, channel: str, error: Exception) -> Failed:
    subject = Subject(application, channel, "", "")
    if isinstance(error, MissionControlError):
        logger.error(
            "verdicts_failed",
            application=application,
            channel=channel,
            code=error.code,
            message=error.message,
        )
        return Failed(subject, error.code, error.message)
    logger.exception("verdicts_failed", application=application, channel=channel)
    return Failed(subject, "internal_error", str(error))
