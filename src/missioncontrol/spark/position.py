"""How far the lake holds a topic, asked of both. Starts no Spark."""

from __future__ import annotations

from missioncontrol.lake.tables import STREAMED
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.spark.held import Held
from missioncontrol.spark.topic import Topic


def read_held(topic: Topic, writer: LakeWriter) -> Held:
    """What each table of the stream holds of each partition now. Raises `StorageError`, as `lake_no_table`."""
    app, ends = f"stream:{topic.identity()}", topic.ends()
    apps = [f"{app}-{partition}" for partition in ends]
    places = {t: dict(zip(ends, writer.committed_each(t, apps), strict=True)) for t in STREAMED}
    return Held(app, ends, places)
