"""The signatures of a running process: one engine a profile, made anew when a list of the user's changes.

The files are looked at (not read) each time. Lists that do not validate change nothing: the last good ones (at first,
the shipped ones) stay in force, and the error can be asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from missioncontrol.crashes.signature.engine import Engine
from missioncontrol.crashes.signature.lists import (
    FIREFOX,
    GENERAL,
    KINDS,
    check_profile,
    kind_of,
    load_lists,
)
from missioncontrol.crashes.signature.model import Explanation, Signature
from missioncontrol.errors import BadRequest, ConfigError
from missioncontrol.file_stamp import Stamp, stamp

logger = structlog.get_logger()
Stamps = tuple[Stamp | None, ...]


class Signatures:
    """Generates and explains signatures. `lists_dir` holds the user's lists, a folder a profile. Thread-safe."""

    def __init__(self, lists_dir: Path | None = None) -> None:
        self._lists_dir = lists_dir
        self._lock = threading.Lock()
        self._engines: dict[str, tuple[Stamps, Engine]] = {}
        self.errors: dict[str, ConfigError] = {}
        """Why the user's lists of a profile are not in force, by profile."""

    def generate(self, document: Mapping[str, Any], profile: str = GENERAL) -> Signature:
        """The signature of a processed crash. Raises `ConfigError` only for a profile that cannot exist."""
        return self.engine(profile).generate(document)

    def explain(self, document: Mapping[str, Any], profile: str = GENERAL) -> Explanation:
        """The signature of a processed crash and how it came about."""
        return self.engine(profile).explain(document)

    def from_crash_data(self, data: Any, profile: str = FIREFOX) -> dict[str, Any]:
        """Answer `{"jobs": [crash data]}` with `{"results": [{"signature", "notes", "extra"}]}`.

        A job that is none gives a result with a note. Raises `BadRequest` when there are no jobs.
        """
        jobs = data.get("jobs") if isinstance(data, dict) else None
        if not isinstance(jobs, list) or not jobs:
            raise BadRequest(
                "no_jobs", "`jobs` must be a list of crash data, at least one.", '{"jobs": [{...}]}'
            )
        engine = self.engine(profile)
        return {"results": [_result(engine, job) for job in jobs]}

    def engine(self, profile: str) -> Engine:
        """The engine of a profile with the lists that are in force now."""
        check_profile(profile)
        with self._lock:
            seen = self._look(profile)
            known = self._engines.get(profile)
            if known is None or known[0] != seen:
                known = seen, self._load(profile, known[1] if known else None)
                self._engines[profile] = known
            return known[1]

    def engine_with(self, profile: str, path: Path, kind: str = "") -> Engine:
        """An engine whose list of this kind, or of the file's name (`prefix.txt`, ...), is `path`.

        Raises `ConfigError` with file and line.
        """
        return Engine(profile, load_lists(profile, self._lists_dir, **{kind or kind_of(path): path}))

    def _load(self, profile: str, last: Engine | None) -> Engine:
        try:
            engine = Engine(profile, load_lists(profile, self._lists_dir))
            self.errors.pop(profile, None)
            return engine
        except ConfigError as error:
            self.errors[profile] = error
            logger.error("signature_lists_rejected", profile=profile, message=error.message, hint=error.hint)
            return last or Engine(profile, load_lists(profile))

    def _look(self, profile: str) -> Stamps:
        if self._lists_dir is None:
            return ()
        return tuple(stamp(self._lists_dir / profile / f"{kind}.txt") for kind in KINDS)


def _result(engine: Engine, job: Any) -> dict[str, Any]:
    if not isinstance(job, dict):
        return {"signature": "", "notes": ["job is no object"], "extra": {}}
    named = engine.from_job(job)
    extra: dict[str, Any] = {}
    if named.normalized_frames:
        extra = {"proto_signature": named.proto_signature, "normalized_frames": list(named.normalized_frames)}
    return {"signature": named.signature, "notes": list(named.notes), "extra": extra}
