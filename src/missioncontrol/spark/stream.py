"""The stream on Spark: topic -> lake, in micro-batches, exactly once.

How far each table holds each partition stands in the table itself: every commit carries, for each partition, an
application transaction with the place of its last message. So the lake and nothing else says where to go on; Spark's
own checkpoint is scratch that each start makes anew, and can neither be lost nor be older than the lake.
After a crash some tables may hold a batch and others not: before anything else the messages between are read again,
for the tables that lack them.

One driver at a time runs the stream of a topic, by its turn. That of another state is refused before it reads
(`spark.owner`), and whoever finds that the tables are not as it left them ends, and has committed nothing then.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from missioncontrol.clock import Clock, system_clock
from missioncontrol.config import Config
from missioncontrol.errors import MissionControlError
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.log.identities import Identities
from missioncontrol.log.kafka_reader import made_anew
from missioncontrol.registry.model import Registry
from missioncontrol.spark.held import Held, is_of, other_stream, read_held
from missioncontrol.spark.owner import LakeOwner
from missioncontrol.spark.session import gone, runs_elsewhere, spark_failure
from missioncontrol.spark.staging import COLUMNS, SCHEMA, Staged, Staging
from missioncontrol.spark.topic import Topic
from missioncontrol.telemetry.batch import Batch, BatchReport
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fitting import FittingRegistry

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

GAP = "log_gap"

logger = structlog.get_logger()
Offsets = dict[int, int]
"""By partition: the next offset that is wanted."""


class SparkStream:
    """Moves a topic into the lake. Not thread-safe, but for Spark, which hands batches over in a thread of its own."""

    def __init__(
        self,
        session: SparkSession,
        topic: Topic,
        writer: LakeWriter,
        registry_source: Callable[[], Registry],
        config: Config,
        open_identities: Callable[[Config], Identities],
        owner: LakeOwner,
        report: Callable[[BatchReport], None] = lambda _: None,
        clock: Clock = system_clock,
    ) -> None:
        self._session, self._topic, self._writer = session, topic, writer
        self._registry = FittingRegistry(writer, registry_source)
        self._config, self._open_identities = config, open_identities
        self._owner, self._report, self._clock = owner, report, clock
        self.batches = 0
        """Micro-batches that were committed."""
        self._taking = threading.Lock()
        self._failure: MissionControlError | None = None
        self._left: Held
        """How the tables were left, all at one place: what the query reads next begins there."""

    def run(self, stop: threading.Event, until_idle: bool = False) -> None:
        """Move the topic until `stop` is set, or until all that it holds now is in the lake.

        Raises `MissionControlError`: what a batch raised, `spark_failed`, or `log_gap` where the topic has deleted
        what the lake lacks.
        """
        self._failure = None
        try:
            self._left = self._catch_up()
            failure = self._stream(stop, until_idle)
        except PySparkException as error:
            failure = error
        except (Py4JError, ConnectionError) as error:
            raise gone() from error
        if self._failure is not None:
            raise self._failure
        if failure is not None and not stop.is_set():
            raise spark_failure(failure)

    def _stream(self, stop: threading.Event, until_idle: bool) -> PySparkException | None:
        """Batch after batch; what ended it, if nobody stopped it."""
        with tempfile.TemporaryDirectory(prefix="missioncontrol-spark-") as scratch:
            query = self._start(Path(scratch) / "checkpoint", until_idle)
            while query.isActive and self._failure is None and not stop.is_set():
                stop.wait(0.2)
            with self._taking:  # a batch that has begun ends
                query.stop()
            return query.exception()

    def skip_gap(self) -> int:
        """Go on behind messages that the topic deleted before they were in the lake; returns how many they are.

        They are counted in `discards` by the reason `log_gap`, in the commit that passes them.
        """
        held = self._held()
        lost = held.lost()
        if not lost:
            return 0
        batch = Batch(Extractor(self._registry()), self._config)
        batch.discard(self._clock(), GAP, sum(lost.values()))
        tables = batch.tables()
        for name in held.places:
            moves = held.moves(name, {p: held.ends[p].first for p in lost})
            files = self._writer.stage(name, tables[name]) if name in tables else []
            self._writer.commit_moves(name, files, moves)
        return sum(lost.values())

    def _held(self) -> Held:
        owned = self._owner.check()  # before anything is written
        self._registry()  # makes the tables
        if not owned:
            self._owner.claim()
        return read_held(self._topic.cluster, self._writer.committed_each)

    def _catch_up(self) -> Held:
        """Read again what some tables hold and others lack; what all hold then."""
        while True:
            held = self._held()
            held.refuse_gap()
            held.refuse_behind()
            least, more = held.least(), held.second()
            if more is None:
                return held
            logger.info("stream_catches_up", messages=sum(more[p] - least[p] for p in least))
            frame = (
                self._session.read.format("kafka")
                .options(**self._topic.spark_options())
                .option("startingOffsets", self._offsets(least))
                .option("endingOffsets", self._offsets(more))
                .load()
            )
            self._take(frame, held, reached=more)

    def _start(self, checkpoint: Path, until_idle: bool) -> StreamingQuery:
        settings = self._config.spark
        frame = (
            self._session.readStream.format("kafka")
            .options(**self._topic.spark_options())
            .option("startingOffsets", self._offsets(self._left.least()))
            .option("maxOffsetsPerTrigger", settings.batch_records)
            .load()
        )
        writing = frame.writeStream.foreachBatch(self._batch).option("checkpointLocation", str(checkpoint))
        if until_idle:
            return writing.trigger(availableNow=True).start()
        return writing.trigger(processingTime=f"{settings.trigger_s} seconds").start()

    def _batch(self, frame: DataFrame, _: int) -> None:
        """One micro-batch, as Spark hands it over. What it fails with ends the query: Spark would print stacks."""
        if not self._taking.acquire(blocking=False):
            return  # the query is being stopped, which waits for this thread
        try:
            if self._failure is None:  # else what follows a batch would be taken before it
                self._left = self._take(frame, self._as_left(), {})
        except MissionControlError as error:
            self._failure = error
        except PySparkException as error:
            self._failure = spark_failure(error)
        finally:
            self._taking.release()

    def _as_left(self) -> Held:
        """What is held now, where the messages that come next begin.

        Raises `StorageError`: `log_made_anew` for another topic than was read, `log_gap`, and `lake_conflict` where
        somebody else has moved the tables.
        """
        held = self._held()
        if held.app != self._left.app:
            raise made_anew(self._topic.cluster)
        held.refuse_others(self._left)
        held.refuse_gap()
        return held

    def _take(self, frame: DataFrame, held: Held, reached: Offsets) -> Held:
        """Commit what messages say to the tables that lack them; what is held then.

        `reached`: how far the tables are then at least. Raises `StorageError` (`lake_conflict`) where another stream
        was faster, and `log_made_anew` where the messages may be of another topic.
        """
        least, behind = held.least(), held.behind()
        work = Staging(
            self._config, self._registry(), least, frozenset(behind), self._open_identities,
            runs_elsewhere(self._session),
        )  # fmt: skip
        rows = frame.selectExpr(*COLUMNS).mapInArrow(work, SCHEMA).collect()
        staged = [msgspec.json.decode(row.said, type=Staged) for row in rows]
        if not is_of(held, self._topic.cluster.facts()):
            raise made_anew(self._topic.cluster)
        reached = dict(reached)
        for one in staged:
            for partition, offset in one.through.items():
                reached[partition] = max(offset + 1, reached.get(partition, 0))
        if not reached:
            return held
        for name in behind:  # all streams go in one order: who is first at the first table is so at all
            files = [file for one in staged for file in one.files if file.table == name]
            if not self._writer.commit_moves(name, files, held.moves(name, reached)):
                raise other_stream(f"it committed the same messages to {name}")
        if staged:
            self.batches += 1
            self._report(self._reported(staged, max(reached.values())))
            self._sweep(min(one.read_s for one in staged))
        return held.advanced(behind, reached)

    def _sweep(self, read_s: int) -> None:
        """Forget some identities that are expired for a reader at that time.

        Every batch has messages of each partition that has any, so none is read at an earlier time. Where that fails
        the next batch's tries again: there is room for identities for longer than for waiting pings.
        """
        now_s = self._clock() // 1_000_000_000
        try:
            self._open_identities(self._config).sweep(min(read_s, now_s), now_s)
        except MissionControlError as error:
            logger.error("identities_not_swept", code=error.code, message=error.message)

    def _reported(self, staged: list[Staged], through: int) -> BatchReport:
        return BatchReport(
            sum(one.records for one in staged),
            sum(one.counted for one in staged),
            sum(one.discarded for one in staged),
            through,
            min(one.oldest_received_ns for one in staged),
            self._clock(),
        )

    def _offsets(self, offsets: Offsets) -> str:
        return json.dumps({self._topic.name: {str(p): offset for p, offset in offsets.items()}})
