"""How far the log goes and how far the lake has it.

A log of this machine is in the lake as far as the stream's status file says. Of a topic of Kafka the tables know: the
stream may run on any machine.
"""

from __future__ import annotations

import msgspec

from missioncontrol.services import Services
from missioncontrol.telemetry.status import read_status
from missioncontrol.web.pipeline.view import PartitionBacklog


class LogEnds(msgspec.Struct, frozen=True):
    """Offsets, as the log's protocol numbers them: None for what a log of several partitions has not."""

    last_offset: int | None
    committed_offset: int | None
    backlog_records: int
    partitions: tuple[PartitionBacklog, ...] = ()
    """Of a log that has several."""
    lost_records: int | None = None
    """What a topic deleted before it was in the lake; None: the log is here."""


def log_ends(services: Services) -> LogEnds:
    """As it is now; raises `StorageError` when log or lake cannot be read."""
    if services.config.log.bootstrap_servers:
        return _of_topic(services)
    status, log = read_status(services.config.data), services.log
    committed = status.through if status else 0
    return LogEnds(log.last_offset(), committed, log.count_after(committed))


def _of_topic(services: Services) -> LogEnds:
    from missioncontrol.log.kafka_messages import place

    held = services.kafka_held()
    waiting, lost = held.backlog(), sum(held.lost().values())
    if len(held.ends) == 1:
        last, committed = (place(0, at - 1) if at else 0 for at in (held.ends[0].next, held.least()[0]))
        return LogEnds(last, committed, waiting[0], lost_records=lost)
    partitions = tuple(PartitionBacklog(p, ends.next, waiting[p]) for p, ends in held.ends.items())
    return LogEnds(None, None, sum(waiting.values()), partitions, lost)
