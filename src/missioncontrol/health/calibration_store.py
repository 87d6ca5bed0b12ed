"""Calibrations as they were made last, one object for each measure of a channel."""

from __future__ import annotations

import hashlib

import msgspec

from missioncontrol.blobs.protocol import Blobs
from missioncontrol.errors import NotFound
from missioncontrol.health.calibration import Calibration

_FOLDER = "calibration/"


def keep(blobs: Blobs, calibration: Calibration) -> None:
    """Store it durably in place of the one before; raises `StorageError`, `StorageFull`."""
    blobs.put(
        _key(calibration.application, calibration.channel, calibration.measure),
        msgspec.json.encode(calibration),
    )


def kept(blobs: Blobs) -> list[Calibration]:
    """All that are stored, by application, channel and measure; one that this version cannot read is left out."""
    found = []
    for key in blobs.list(_FOLDER):
        try:
            found.append(msgspec.json.decode(blobs.get(key), type=Calibration))
        except (NotFound, msgspec.DecodeError):
            continue  # replaced this moment, or of another version: it is made again by the command
    return sorted(found, key=lambda one: (one.application, one.channel, one.measure))


def _key(application: str, channel: str, measure: str) -> str:
    """Names may hold anything, keys may not."""
    named = msgspec.json.encode([application, channel, measure])
    return f"{_FOLDER}{hashlib.blake2b(named, digest_size=16).hexdigest()}.json"
