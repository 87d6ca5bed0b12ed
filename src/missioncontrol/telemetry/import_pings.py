"""`import pings`: files of decoded pings -> lake, on all cores, exactly once.

Files are read as one sequence of blocks of whole lines. Of several copies of a ping the one received first counts,
wherever it stands (see `import_order`). Blocks are decoded and staged by worker processes, which take turns; this
process decides on duplicates of what was accepted before and commits, one Delta commit a table and `COMMIT_BLOCKS`
blocks, with the application transaction (`import:<run>`, number of the last block). An import that was killed and is
started again with the same files goes on where it stood (see `import_run`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import msgspec

from missioncontrol.config import Config, LakePlace
from missioncontrol.errors import BadRequest
from missioncontrol.lake.locks import commit_gate
from missioncontrol.lake.place import announce, withdraw
from missioncontrol.lake.tables import STREAMED
from missioncontrol.lake.writer import LakeWriter, StagedFile
from missioncontrol.registry import Registry
from missioncontrol.telemetry import import_worker
from missioncontrol.telemetry.import_blocks import BLOCK_BYTES, read_blocks
from missioncontrol.telemetry.import_order import Receipts, later_copies
from missioncontrol.telemetry.import_run import ImportRun, app_of, claimant_of
from missioncontrol.telemetry.import_worker import Identities, Look, Staged, Work
from missioncontrol.telemetry.workers import WorkerProcess

COMMIT_BLOCKS = 8
"""Blocks that become visible together. A commit for each would cost as much as a third of the work."""
_MOST_UNDER_WAY = 1024
"""No machine has more blocks claimed and not committed at once: a group, and one for each worker."""


_DIED = "The import goes on where it stood when it is started again with the same files."


class Identifier(Protocol):
    """What the import needs of the log: to recognise document ids."""

    def claim(self, document_ids: Sequence[str], claimant: int) -> list[bool]:
        """True where another claimant noted the id before."""
        ...

    def release(self, claimants: Sequence[int]) -> None:
        """Forget what these claimants noted."""
        ...


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did, in lines. `duplicates` are part of `discarded`."""

    lines: int = 0
    counted: int = 0
    discarded: int = 0
    duplicates: int = 0
    read_bytes: int = 0

    def plus(self, staged: Staged, read_bytes: int) -> ImportReport:
        """With one more block."""
        return ImportReport(
            self.lines + staged.counted + staged.discarded,
            self.counted + staged.counted,
            self.discarded + staged.discarded,
            self.duplicates + staged.duplicates,
            read_bytes,
        )


@dataclass
class _Block:
    """A block that a worker has."""

    number: int
    worker: WorkerProcess
    read_bytes: int
    decided: bool = False


class _Group:
    """Blocks that wait to be committed together. After a kill, the same blocks make the same groups again."""

    def __init__(self, lake: LakePlace | Path, writer: LakeWriter, tables: Sequence[str], app: str) -> None:
        self._lake, self._writer, self._tables, self._app = lake, writer, tables, app
        self._files: dict[str, list[StagedFile]] = {}
        self._last = 0

    def add(self, number: int, staged: Staged) -> None:
        """Take block `number`; commit when the group is full: all of it is staged then."""
        self._take(staged)
        self._last = number
        if number % COMMIT_BLOCKS == 0:
            self._commit()

    def finish(self, workers: Sequence[WorkerProcess]) -> None:
        """Let the workers stage what is left, and commit it."""
        for worker in workers:
            worker.send(None)
            self._take(worker.receive(Staged))
        self._commit()

    def _take(self, staged: Staged) -> None:
        for table, files in staged.files.items():
            self._files.setdefault(table, []).extend(files)

    def _commit(self) -> None:
        if self._last:
            with commit_gate(self._lake):
                for table in self._tables:
                    self._writer.commit(table, self._files.get(table, []), self._app, self._last)
        self._files, self._last = {}, 0


class PingImport:
    """One import. `workers` processes (at least one) decode and stage."""

    def __init__(
        self, config: Config, registry: Registry, writer: LakeWriter, log: Identifier, workers: int
    ) -> None:
        self._config = config
        self._registry = registry
        self._tables = STREAMED
        self._writer = writer
        self._log = log
        self._count = max(1, workers)
        writer.ensure(registry)

    def run(
        self, files: Sequence[Path], report: Callable[[ImportReport], None] = lambda _: None
    ) -> ImportReport:
        """Import the files; calls `report` after each block. Raises before anything is done when one is missing."""
        for file in files:
            if not file.is_file():
                raise BadRequest("import_missing", f"There is no file {file}.")
        run = ImportRun(self._config.data, files, BLOCK_BYTES)
        try:
            announce(self._config.lake_place, run.name)
            total = self._run(run, files, report)
            run.finish()
            withdraw(self._config.lake_place, run.name)
            return total
        finally:
            run.close()

    def _run(
        self, run: ImportRun, files: Sequence[Path], report: Callable[[ImportReport], None]
    ) -> ImportReport:
        self._release_abandoned(run)
        done = min(self._committed(run.app)) if run.resumed else 0
        total = ImportReport()
        group = _Group(self._config.lake_place, self._writer, self._tables, run.app)
        workers = [
            WorkerProcess(
                import_worker.run, self._config, self._registry, code="import_worker_died", hint=_DIED
            )
            for _ in range(self._count)
        ]
        try:
            for number, staged, read_bytes in self._staged(workers, files, run, done):
                group.add(number, staged)
                total = total.plus(staged, read_bytes)
                report(total)
            group.finish(workers)
            return total
        except BadRequest:
            group.finish(workers)  # what came before the unreadable place is imported
            raise
        finally:
            for worker in workers:
                worker.close()

    def _committed(self, app: str) -> list[int]:
        return [self._writer.committed(table, app) for table in self._tables]

    def _release_abandoned(self, run: ImportRun) -> None:
        """Free the document ids that runs given up half-way claimed for blocks that never got into the lake."""
        for name in run.abandoned():
            done = max(self._committed(app_of(name)))
            ahead = range(done + 1, done + 1 + _MOST_UNDER_WAY)
            self._log.release([claimant_of(name, block) for block in ahead])

    def _staged(
        self, workers: list[WorkerProcess], files: Sequence[Path], run: ImportRun, done: int
    ) -> Iterator[tuple[int, Staged, int]]:
        """The blocks after number `done`, staged, in order; each worker has at most one under way."""
        later = _later_copies(workers, files)
        under_way: deque[_Block] = deque()
        free = deque(workers)
        unreadable: BadRequest | None = None
        try:
            for number, (pieces, read_bytes) in enumerate(read_blocks(files), 1):
                if number <= done:
                    continue
                if not free:
                    yield self._finish(under_way, free, run)
                block = _Block(number, free.popleft(), read_bytes)
                stage = -number % COMMIT_BLOCKS < len(workers)  # its last block of those committed together
                block.worker.send(Work(pieces, later.get(number, frozenset()), stage))
                under_way.append(block)
        except BadRequest as error:
            unreadable = error
        while under_way:
            yield self._finish(under_way, free, run)
        if unreadable is not None:
            # Only now: the ids of the blocks before are noted already, and would count as duplicates next time.
            raise unreadable

    def _decide(self, block: _Block, run: ImportRun) -> None:
        """Tell the worker which of its ids are duplicates; once a block, in the order of the blocks."""
        if block.decided:
            return
        identities = block.worker.receive(Identities)
        duplicate = self._log.claim(identities.ids, run.claimant(block.number)) if identities.ids else []
        block.worker.send(duplicate)
        block.decided = True

    def _finish(
        self, under_way: deque[_Block], free: deque[WorkerProcess], run: ImportRun
    ) -> tuple[int, Staged, int]:
        for block in under_way:  # nobody waits for a decision while another stages
            self._decide(block, run)
        block = under_way.popleft()
        staged = block.worker.receive(Staged)
        free.append(block.worker)
        return block.number, staged, block.read_bytes


def _later_copies(workers: Sequence[WorkerProcess], files: Sequence[Path]) -> dict[int, frozenset[int]]:
    """By number of the block, the lines of which another block or line has an earlier copy.

    Nothing to look for in a single block: its worker finds them. What cannot be read is left to the import itself.
    """
    waiting: deque[WorkerProcess] = deque()
    found: list[Receipts] = []

    def receive() -> None:
        found.append(waiting.popleft().receive(Receipts))

    blocks = read_blocks(files)
    try:
        ahead = list(islice(blocks, 2))
        if len(ahead) > 1:
            for number, (pieces, _) in enumerate(chain(ahead, blocks)):
                if len(waiting) == len(workers):
                    receive()
                worker = workers[number % len(workers)]
                worker.send(Look(pieces))
                waiting.append(worker)
    except BadRequest:
        pass
    while waiting:
        receive()
    return dict(enumerate(later_copies(found), 1))
