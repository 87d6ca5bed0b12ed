"""Spark as tests run it: on this machine, with the packages that `make scale-fetch` brought."""

from __future__ import annotations

from pathlib import Path

from deploy.local.fetch import spark_jars


def spark_blocks(spill: Path, batch_records: int = 200_000) -> str:
    """Blocks for a missioncontrol.toml; shuffled data is spilled into the folder `spill`."""
    return f"""
[spark]
master = "local[2]"
packages = []
batch_records = {batch_records}
[spark.settings]
"spark.driver.extraClassPath" = "{":".join(map(str, spark_jars()))}"
"spark.driver.memory" = "1g"
"spark.driver.host" = "127.0.0.1"
"spark.driver.bindAddress" = "127.0.0.1"
"spark.local.dir" = "{spill}"
"""
