"""What came of a version's time and was not counted: refused at the edge, or discarded.

The table `discards` knows windows and reasons only; whose pings they were, the archive says, as their addresses do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from missioncontrol.clock import WINDOW_S
from missioncontrol.config import Config
from missioncontrol.query.engine import Engine
from missioncontrol.query.relation import Span

_ANYWHERE = """
SELECT coalesce(sum("count"), 0)::BIGINT FROM {relation}
WHERE window_start >= ? AND window_start < ? AND reason <> 'duplicate'"""
_OF_CHANNEL = """
SELECT count(*), count(*) FILTER (version = ?) FROM {relation}
WHERE discarded IS NOT NULL AND window_start >= ? AND window_start < ? AND application = ?
  AND (channel = ? OR coalesce(channel, '') = '')"""
_COUNTED = """
SELECT coalesce(sum("count"), 0)::BIGINT FROM {relation}
WHERE window_start >= ? AND window_start < ? AND application = ? AND channel = ?"""


class Uncounted(msgspec.Struct, frozen=True):
    """Pings in a time, without duplicates.

    anywhere: refused or discarded, of whatever application; of_channel: discarded, of the application and channel or of
    no channel, as their addresses say (those of Glean say neither); of_version: those of them that name the version;
    counted: of the application and channel. None: not known, since no pings are archived, or none are counted.
    """

    anywhere: int
    of_channel: int | None
    of_version: int
    counted: int | None

    @property
    def share(self) -> float | None:
        """Of the channel's pings that were not counted."""
        if self.of_channel is None or self.counted is None or not self.of_channel + self.counted:
            return None
        return self.of_channel / (self.of_channel + self.counted)


def archived_since(config: Config, since: datetime, now: datetime) -> bool:
    """Whether the discarded pings that came from a time on are all kept."""
    days = [each for each in (config.retention.pings, config.retention.pings_discarded) if each]
    return config.lake.archive and all(since.date() >= now.date() - timedelta(days=each) for each in days)


def uncounted(
    engine: Engine,
    application: str,
    channel: str,
    version: str,
    since: datetime,
    until: datetime,
    archived: bool = True,
) -> Uncounted:
    """What was not counted in windows from the one of `since` to `until`.

    archived: the discarded pings of that time are kept; else nobody knows whose they were. Raises `TooSlow`
    (`query_timeout`), `BadRequest` (`query_memory`) and `StorageError`.
    """
    first = since - timedelta(seconds=since.timestamp() % WINDOW_S)
    within, span = (first, until), Span(first=first, last=until)
    ((anywhere,),) = engine.over("discards", _ANYWHERE, within, span)
    of_channel, of_version = None, 0
    if archived and engine.reader.snapshot("pings") is not None:
        asked = (version, *within, application, channel)
        ((of_channel, of_version),) = engine.over("pings", _OF_CHANNEL, asked, span)
    counted = None
    if "count" in engine.registry().measures:
        columns = ("window_start", "application", "channel", "count")
        ((counted,),) = engine.over_sums(columns, _COUNTED, (*within, application, channel), span)
    return Uncounted(anywhere, of_channel, of_version, counted)
