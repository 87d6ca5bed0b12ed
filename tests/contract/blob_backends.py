"""The stores of objects that there are, for tests of what all of them promise."""

from __future__ import annotations

from pathlib import Path

from missioncontrol.blobs.bucket import Bucket
from missioncontrol.blobs.protocol import ReportBlobs
from missioncontrol.blobs.report_blobs import LocalReportBlobs
from missioncontrol.blobs.s3 import S3Blobs
from missioncontrol.blobs.spool import Spool


def open_folder(folder: Path) -> ReportBlobs:
    return LocalReportBlobs(folder)


def open_bucket(url: str, spool: Path, spool_bytes: int = 1 << 30) -> S3Blobs:
    return S3Blobs(Bucket(url), Spool(spool, spool_bytes))
