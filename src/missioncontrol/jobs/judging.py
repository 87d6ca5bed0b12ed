"""Judges releases while the server runs: a turn for each 5-minute window that is over and wholly in the lake.

Judging needs much memory and no haste, so it is a process of its own, begun when there is something
to judge (`Judges`); in it, `Judging` waits for windows and makes the turns. Of all processes of an installation one
judges.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from missioncontrol.clock import WINDOW_S, system_clock, utc
from missioncontrol.errors import MissionControlError
from missioncontrol.health.turn_status import TurnStatus, write_status
from missioncontrol.lake.changes import changed_from
from missioncontrol.processes import Child
from missioncontrol.services import Services
from missioncontrol.telemetry.status import read_status, stream_runs

if TYPE_CHECKING:
    from missioncontrol.health.following import Failed
    from missioncontrol.spark.held import Goal
    from missioncontrol.telemetry.stream import Stream

_POLL_S = 2.0
_LOOK_S = 10.0
_SETTLE_S = 2.0
"""How long after its end a window's last pings may still be on their way to the log."""
_PATIENCE = timedelta(minutes=15)
"""A stream that is so far behind is not waited for: late rows change later looks."""
_LATE_EVERY_S = 20.0
_TABLE = "error_aggregates"

logger = structlog.get_logger()


class Judges:
    """Keeps the process that judges as long as the lake has something to judge."""

    def __init__(self, services: Services, arguments: list[str]) -> None:
        self._services, self._arguments = services, arguments

    def run(self, stop: threading.Event) -> None:
        """Look for rows until `stop` is set, and begin the process when there are some."""
        child: Child | None = None
        try:
            while not stop.is_set():
                try:
                    if child is None and self._has_rows():
                        child = Child(self._arguments)
                except MissionControlError as error:
                    logger.error("verdicts_failed", code=error.code, message=error.message)
                except Exception:
                    logger.exception("verdicts_failed")
                stop.wait(_POLL_S)
        finally:
            if child is not None:
                child.stop()

    def _has_rows(self) -> bool:
        snapshot = self._services.reader.snapshot(_TABLE)
        return snapshot is not None and bool(snapshot.files)


class Windows:
    """Which window is the newest that is over, and wholly in the lake."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._waiting: tuple[datetime, int | Goal] | None = None
        self._reached: Goal | None = None
        self._settled: datetime | None = None
        self._stream: Stream | None = None

    def settled(self, now: datetime) -> datetime | None:
        """The end of that window; None: not known yet."""
        end = _window_end(now - timedelta(seconds=_SETTLE_S))
        if self._waiting is None or (self._waiting[0] != end and self._in_lake(self._waiting[1])):
            self._waiting = end, self._newest()
        ends, newest = self._waiting
        late = now - ends > _PATIENCE or ends > now + timedelta(seconds=WINDOW_S)
        if self._in_lake(newest) or late:
            self._settled = ends
            if late:
                self._waiting = None
        return self._settled

    def _newest(self) -> int | Goal:
        """Offset of the newest record, or where Kafka's topic ends."""
        if self._services.config.log.bootstrap_servers:
            return self._services.kafka_held().goal()
        return self._services.log.last_offset()

    def _in_lake(self, newest: int | Goal) -> bool:
        return self._has(newest) if isinstance(newest, int) else self._reaches(newest)

    def _reaches(self, goal: Goal) -> bool:
        """The stream may run on any machine: the tables know how far it is."""
        if self._reached is not goal and self._services.kafka_held().reaches(goal):
            self._reached = goal
        return self._reached is goal

    def _has(self, offset: int) -> bool:
        data = self._services.config.data
        status = read_status(data)
        if offset <= (status.through if status else 0) or not stream_runs(data):
            return True
        # The status is of the newest batch since the stream began; of those before the tables know.
        self._stream = self._stream or self._services.stream()
        return offset <= self._stream.refreshed_position()


class Judging:
    """Makes the turns of one installation."""

    def __init__(self, services: Services) -> None:
        from missioncontrol.health.turn import Turns

        self._services = services
        self._windows = Windows(services)
        self._turns = Turns(
            services.config.lake_place,
            services.engine,
            services.writer,
            services.releases,
            lambda changes, now: services.alerts.take(changes, now),
        )
        self._seen: int | None = None
        self._late_rows, self._late_again = 0, 0.0
        self._status = TurnStatus(os.getpid(), datetime.now(UTC))

    def run(self, stop: threading.Event) -> None:
        """Make turns until `stop` is set; waits while another process judges.

        When that is another's to do in the middle of one, this process ends: it would still be written.
        """
        self._services.turn("verdicts").work(
            stop, self._run, lost=lambda: os.kill(os.getpid(), signal.SIGTERM)
        )

    def _run(self, stop: threading.Event) -> None:
        done: tuple[object, ...] = ()
        while not stop.wait(_POLL_S):
            now = utc(system_clock())
            try:
                until = self._windows.settled(now)
                if until is None:
                    continue
                reasons = (until, self._named(), self._late(until))
                if reasons != done:
                    self.turn(until, now)
                    done = reasons  # what changed meanwhile is a reason for another turn
            except MissionControlError as error:
                self._fell(error.code, error.message)
                stop.wait(_LOOK_S)
            except Exception as error:
                logger.exception("verdicts_failed")
                self._fell("internal_error", str(error))
                stop.wait(_LOOK_S)

    def turn(self, until: datetime, now: datetime) -> TurnStatus:
        """Make a turn. Raises as `Turns.run()` does."""
        turn = self._turns.run(until, now)
        before = self._status
        self._status = TurnStatus(
            pid=os.getpid(),
            written_at=now,
            as_of=turn.until,
            subjects=turn.subjects,
            failed=[_told(each) for each in turn.failed],
            turns=before.turns + 1,
            looks=before.looks + turn.looks,
            changes=before.changes + len(turn.changes),
            failures=before.failures + len(turn.failed),
            took_s=round(turn.took_s, 3),
        )
        write_status(self._services.config.data, self._status)
        if turn.looks:
            logger.info(
                "verdicts", as_of=turn.until.isoformat(), looks=turn.looks, changes=len(turn.changes),
                failed=len(turn.failed), took_s=round(turn.took_s, 3),
            )  # fmt: skip
        return self._status

    def _named(self) -> int:
        """Changes when anything was said of releases: a turn for it need not wait for the next window."""
        return hash(tuple(self._services.releases.list()))

    def _late(self, until: datetime) -> int:
        """Changes when rows of windows before `until` came (an import), but for counts of crash reports, which always
        do; not more often than it is worth while.
        """
        snapshot = self._services.reader.snapshot(_TABLE)
        if snapshot is None or time.monotonic() < self._late_again:
            return self._late_rows
        if self._seen is not None and self._seen < snapshot.version:
            changed = changed_from(self._services.config.lake_place, snapshot, self._seen, with_reports=False)
            if changed is not None and changed < until - timedelta(seconds=WINDOW_S):
                self._late_rows += 1
                self._late_again = time.monotonic() + _LATE_EVERY_S
        self._seen = snapshot.version
        return self._late_rows

    def _fell(self, code: str, message: str) -> None:
        import msgspec

        logger.error("verdicts_failed", code=code, message=message)
        self._status = msgspec.structs.replace(
            self._status,
            written_at=utc(system_clock()),
            failures=self._status.failures + 1,
            error=f"{code}: {message}",
        )
        write_status(self._services.config.data, self._status)


def _told(failed: Failed) -> str:
    subject = failed.subject
    names = (subject.application, subject.channel, subject.version, subject.measure)
    return f"{' '.join(filter(None, names))}: {failed.code}: {failed.message}"


def _window_end(moment: datetime) -> datetime:
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % WINDOW_S, UTC)
