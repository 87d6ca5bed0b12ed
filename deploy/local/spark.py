"""How Spark reaches the other parts: its jars, Delta's extension and the S3 server, as settings of a session.

Nothing here starts Spark: a job runs in a process of its own, by spark-submit or in a Python with PySpark.
"""

from __future__ import annotations

from pathlib import Path

from .fetch import spark_jars
from .s3 import REGION, S3Server


def spark_settings(s3: S3Server, scratch: Path, driver_memory: str = "2g") -> dict[str, str]:
    """Settings of a session on this machine; `scratch` takes what Spark spills. Raises `SetupError`."""
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": driver_memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        # Not spark.jars: those are copied for each session.
        "spark.driver.extraClassPath": ":".join(map(str, spark_jars())),
        "spark.local.dir": str(scratch / "spill"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        **_s3a(s3),
    }


def _s3a(s3: S3Server) -> dict[str, str]:
    hadoop = {
        "fs.s3a.endpoint": s3.endpoint,
        "fs.s3a.endpoint.region": REGION,
        "fs.s3a.access.key": s3.access_key,
        "fs.s3a.secret.key": s3.secret_key,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
    }
    return {f"spark.hadoop.{name}": value for name, value in hadoop.items()}


def properties(settings: dict[str, str]) -> str:
    """The settings as spark-submit reads them with --properties-file."""
    return "".join(f"{name} {value}\n" for name, value in settings.items())
