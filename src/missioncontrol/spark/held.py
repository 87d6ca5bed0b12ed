"""How far the tables of the lake hold the partitions of a topic. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from missioncontrol.errors import StorageError
from missioncontrol.lake.writer import Move
from missioncontrol.log.kafka_messages import partition_and_offset, place
from missioncontrol.spark.topic import Ends


class Held(msgspec.Struct, frozen=True):
    """What is in the lake, and what is in the topic."""

    app: str
    """The stream's name in application transactions, which each partition's number follows."""
    ends: dict[int, Ends]
    places: dict[str, dict[int, int]]
    """By table and partition: place of the last message that the table holds; 0: it holds none."""

    def next(self, table: str) -> dict[int, int]:
        """By partition: the offset of the first message that the table lacks.

        A table that is new beside others begins with what the topic still has.
        """
        begun = {p for held in self.places.values() for p, last in held.items() if last}
        return {
            p: partition_and_offset(last)[1] + 1 if last else self.ends[p].first if p in begun else 0
            for p, last in self.places[table].items()
        }

    def least(self) -> dict[int, int]:
        """What no table has begins here."""
        return {p: min(self.next(name)[p] for name in self.places) for p in self.ends}

    def behind(self) -> list[str]:
        """The tables that hold no more than the least."""
        least = self.least()
        return sorted(name for name in self.places if self.next(name) == least)

    def second(self) -> dict[int, int] | None:
        """Where the tables stand that hold the least after those behind; None: all stand at the same place."""
        least = self.least()
        others = [held for held in map(self.next, self.places) if held != least]
        return min(others, key=lambda held: sum(held.values())) if others else None

    def moves(self, table: str, reached: Mapping[int, int]) -> list[Move]:
        """The transactions that take a table to these next offsets, in those partitions where that is further."""
        held = self.next(table)
        return [
            Move(f"{self.app}-{p}", place(p, to - 1), self.places[table].get(p, 0))
            for p, to in sorted(reached.items())
            if to > held.get(p, 0)
        ]

    def lost(self) -> dict[int, int]:
        """By partition: how many messages the topic deleted that the lake lacks."""
        return {p: self.ends[p].first - at for p, at in self.least().items() if at < self.ends[p].first}

    def waiting(self) -> dict[int, int]:
        """By partition: how many messages the topic has that the lake lacks."""
        return {p: max(0, self.ends[p].next - max(at, self.ends[p].first)) for p, at in self.least().items()}

    def refuse_gap(self) -> None:
        """Raise `StorageError` (`log_gap`) where messages were deleted before they were in the lake, or where the
        lake holds more than the topic ever had.
        """
        lost = self.lost()
        if lost:
            raise StorageError(
                "log_gap",
                f"The topic deleted {sum(lost.values()):,} messages (partition {', '.join(map(str, lost))}) before "
                "they were in the lake: its retention was shorter than the stream was away.",
                "They are gone. To go on behind them, counted in discards as log_gap: missioncontrol spark stream "
                "--skip-gap. Give the topic a longer retention.ms.",
            )
        beyond = [p for name in self.places for p, at in self.next(name).items() if at > self.ends[p].next]
        if beyond:
            raise StorageError(
                "log_behind_lake",
                f"The lake holds more of partition {beyond[0]} than the topic has: the topic lost messages.",
                "Was it restored, or a leader elected that was not in sync? Make a new topic, and set log.topic.",
            )
