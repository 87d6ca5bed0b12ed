"""Crash ids, and the keys under which the parts of a crash are stored.

A crash id is a UUID whose last seven characters are a digit and the day of receipt: `...34f80261126` was received on
2026-11-26. So every part lies under its day, and whoever has the id knows where. The fifteen digits before those seven
are the same for reports that were stored together: they name the bundle that holds them, if one does.
"""

from __future__ import annotations

import os
import re
import uuid
from datetime import date, datetime
from functools import lru_cache

from missioncontrol.errors import BadRequest

MINIDUMP = "upload_file_minidump"
BUNDLES = "report"
"""The first segment of the keys of bundles."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{6}(\d{6})")
_PLAIN = re.compile(r"[0-9a-f]{26}\d{6}")
_SHORT = re.compile(r"[0-9a-f]{10}\d{6}")
_ACCEPTED = "0"
_FIRST_DIGITS = 10


def new_crash_id(received: datetime) -> str:
    """A new id for a crash received then (UTC)."""
    return f"{str(uuid.uuid4())[:29]}{_ACCEPTED}{received:%y%m%d}"


def new_crash_ids(received: datetime, count: int) -> list[str]:
    """New ids for crashes that are stored together; `bundle_key()` of all is the same. At most a few thousand."""
    like = new_crash_id(received)
    firsts: set[str] = set()
    while len(firsts) < count:
        firsts.add(os.urandom(_FIRST_DIGITS // 2).hex())
    # The first ten digits are what makes each of them, and a short id, one of its own.
    return [f"{first[:8]}-{first[8:]}{like[11:]}" for first in firsts]


def parsed_crash_id(text: str) -> str:
    """The id, in lower case with dashes and without `bp-`; raises `BadRequest` (`bad_crash_id`)."""
    candidate = text.strip().lower().removeprefix("bp-")
    if _PLAIN.fullmatch(candidate):
        candidate = "-".join(candidate[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    try:
        day_of(candidate)
    except (ValueError, AttributeError):
        hint = "A crash id looks like de1bb258-cbbf-4589-a673-34f800261126; its last six digits are a day."
        raise BadRequest("bad_crash_id", f"{text[:80]!r} is no crash id.", hint) from None
    return candidate


def short_id(crash_id: str) -> str:
    """16 hexadecimal digits of an id, for clients that take nothing else: the first 10 and the day of receipt."""
    plain = crash_id.replace("-", "")
    return plain[:10] + plain[-6:]


def is_short_id(text: str) -> bool:
    """Whether it may be what `short_id()` gives."""
    return _SHORT.fullmatch(text) is not None


def day_of(crash_id: str) -> date:
    """The day of receipt; raises `ValueError` for what is no crash id."""
    found = _ID.fullmatch(crash_id)
    if found is None:
        raise ValueError(crash_id)
    return _day(found[1])


@lru_cache(maxsize=1000)
def _day(digits: str) -> date:
    return datetime.strptime(digits, "%y%m%d").date()  # noqa: DTZ007 - a day has no zone


def raw_key(crash_id: str) -> str:
    """Key of the annotations and what the collector noted."""
    return f"raw_crash/{day_of(crash_id):%Y%m%d}/{crash_id}.json"


def dump_key(crash_id: str, name: str) -> str:
    """Key of a file of the report, by its name there."""
    return f"dump/{day_of(crash_id):%Y%m%d}/{crash_id}.{name}"


def processed_key(crash_id: str) -> str:
    """Key of the processed crash."""
    return f"processed_crash/{day_of(crash_id):%Y%m%d}/{crash_id}.json.gz"


def bundle_key(crash_id: str) -> str:
    """Key of the bundle that the parts of a crash may be in."""
    return f"{BUNDLES}/{day_of(crash_id):%Y%m%d}/{crash_id.replace('-', '')[_FIRST_DIGITS:-7]}"


def crash_id_in(key: str) -> str | None:
    """The id of the crash that a key is of; None when it is of none."""
    name = key.rpartition("/")[2].partition(".")[0]
    try:
        day_of(name)
    except ValueError:
        return None
    return name
