"""How far the tables of the lake hold the partitions of a topic. Loads neither Spark nor Arrow: pages ask too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from missioncontrol.errors import StorageError
from missioncontrol.lake.actions import Move
from missioncontrol.lake.tables import STREAMED
from missioncontrol.log.kafka_cluster import Cluster, Ends, TopicFacts
from missioncontrol.log.kafka_messages import partition_and_offset, place


class Goal(msgspec.Struct, frozen=True):
    """Where a topic ended once."""

    app: str
    next: dict[int, int]
    """By partition: the offset that the next message gets."""


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

    def backlog(self) -> dict[int, int]:
        """By partition: how many messages the topic has that some table lacks."""
        return {p: max(0, self.ends[p].next - max(at, self.ends[p].first)) for p, at in self.least().items()}

    def goal(self) -> Goal:
        """Where the topic ends."""
        return Goal(self.app, {p: ends.next for p, ends in self.ends.items()})

    def reaches(self, goal: Goal) -> bool:
        """Whether all tables hold what the topic had then; of a topic that was made anew since, there is nothing more
        to come.
        """
        least = self.least()
        return self.app != goal.app or all(least.get(p, 0) >= to for p, to in goal.next.items())

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

    def advanced(self, tables: Collection[str], reached: Mapping[int, int]) -> Held:
        """As it is once these tables hold all before these next offsets."""
        places = {
            name: {
                p: max(last, place(p, reached[p] - 1)) if name in tables and p in reached else last
                for p, last in held.items()
            }
            for name, held in self.places.items()
        }
        return msgspec.structs.replace(self, places=places)

    def refuse_others(self, left: Held) -> None:
        """Raise `StorageError` (`lake_conflict`) where the tables are not as one stream, which alone moves them, left
        them. Partitions that were added since are empty in all.
        """
        for name, held in self.places.items():
            for partition, last in held.items():
                if last != left.places[name].get(partition, 0):
                    raise other_stream(
                        f"{name} holds another part of partition {partition} than it left there"
                    )

    def lost(self) -> dict[int, int]:
        """By partition: how many messages the topic deleted that the lake lacks."""
        return {p: self.ends[p].first - at for p, at in self.least().items() if at < self.ends[p].first}

    def refuse_gap(self) -> None:
        """Raise `StorageError` (`log_gap`) where messages were deleted before they were in the lake."""
        lost = self.lost()
        if lost:
            raise StorageError(
                "log_gap",
                f"The topic deleted {sum(lost.values()):,} messages (partition {', '.join(map(str, lost))}) before "
                "they were in the lake: its retention was shorter than the stream was away.",
                "They are gone. To go on behind them, counted in discards as log_gap: missioncontrol spark stream "
                "--skip-gap. Give the topic a longer retention.ms.",
            )

    def refuse_behind(self) -> None:
        """Raise `StorageError` (`log_behind_lake`) where the lake holds more than the topic ever had."""
        beyond = [p for name in self.places for p, at in self.next(name).items() if at > self.ends[p].next]
        if beyond:
            raise StorageError(
                "log_behind_lake",
                f"The lake holds more of partition {beyond[0]} than the topic has: the topic lost messages.",
                "Was it restored, or a leader elected that was not in sync? Make a new topic, and set log.topic.",
            )


def other_stream(why: str) -> StorageError:
    """The error of a stream that finds that another one moves the same tables."""
    return StorageError(
        "lake_conflict",
        f"Another stream writes to the lake of this one: {why}.",
        "What it left is whole. Whose settings name this lake? End the one that is too many.",
    )


def app_names(topic: TopicFacts) -> list[str]:
    """The stream's name in the transactions of each partition, in order."""
    return [f"{_app(topic)}-{partition}" for partition in range(topic.partitions)]


def is_of(held: Held, topic: TopicFacts) -> bool:
    """Whether this topic is the one whose messages are held, and not another that has its name now."""
    return held.app == _app(topic)


def _app(topic: TopicFacts) -> str:
    return f"stream:{topic.id}"


def read_held(cluster: Cluster, committed: Callable[[str, Sequence[str]], list[int]]) -> Held:
    """As it is now. `committed`: a table's last version of each of these applications. Raises `StorageError`."""
    facts = cluster.facts()
    apps, ends = app_names(facts), cluster.ends(facts.partitions)
    return Held(_app(facts), ends, {t: dict(zip(ends, committed(t, apps), strict=True)) for t in STREAMED})
