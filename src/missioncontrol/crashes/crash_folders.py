"""Crash reports in folders, as collectors, tools and clients leave them there.

Three forms are known, anywhere below a folder:

* by part, `.../raw_crash/[DAY/]ID[.json]` with the files of the report beside it in `.../NAME/[DAY/]ID` (as Antenna and
  crashstats-tools write) or `.../dump/[DAY/]ID.NAME` (as this project's own objects are);
* in bundles, `.../report/DAY/DIGITS`, in which this project keeps small reports;
* in pairs, `NAME.dmp` with `NAME.extra` (JSON, or lines `key=value`), as clients keep what waits to be sent.

Reads names and what bundles say of theirs; never what is in the files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from missioncontrol.blobs.bundle import Bundle
from missioncontrol.blobs.crash_keys import BUNDLES, MINIDUMP, crash_id_in, day_of, dump_key
from missioncontrol.errors import StorageError

RAW = "raw_crash"
_NO_FILES = {RAW, "dump_names", "processed_crash", "crash_data", "drafts"}
"""Folders beside `raw_crash` that hold no files of reports."""
_OWN_FILES = "dump"
_PART_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_DAY = re.compile(r"\d{8}")
_BUNDLE = re.compile(r"[0-9a-f]{15}")


class BundledFile(msgspec.Struct, frozen=True):
    """A file of a report that is in a bundle."""

    bundle: Path
    key: str

    def __str__(self) -> str:
        return f"{self.bundle}: {self.key}"

    def data(self) -> bytes:
        """All of it, small as it is; raises `ValueError` and `OSError` for what cannot be read."""
        try:
            with Bundle(self.bundle) as bundle:
                found = bundle.read(self.key)
        except StorageError as error:
            raise ValueError(error.message) from None
        if found is None:
            raise FileNotFoundError(f"{self.key} was deleted")
        return found


class FoundCrash(msgspec.Struct, frozen=True):
    """A report in files. `crash_id` None: it never had one from a collector."""

    crash_id: str | None
    annotations: Path | BundledFile
    dumps: Mapping[str, Path | BundledFile]
    """By the name of the part, the main one `upload_file_minidump`."""


def find_crashes(top: Path) -> Iterator[FoundCrash]:
    """Every report below a folder, in the order of their names."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        here = Path(folder)
        base, day = _place(here)
        bundles = here.parent.name == BUNDLES and _DAY.fullmatch(here.name)
        for name in sorted(names):
            file = here / name
            if bundles and _BUNDLE.fullmatch(name):
                yield from _bundled(file)
            elif base is not None:
                crash_id = name.removesuffix(".json")
                if _is_id(crash_id):
                    yield FoundCrash(crash_id, file, _dumps(base, day, crash_id))
            elif file.suffix == ".extra" and (dump := file.with_suffix(".dmp")).is_file():
                yield FoundCrash(None, file, {MINIDUMP: dump})


def _bundled(file: Path) -> Iterator[FoundCrash]:
    """The reports of a bundle; of one that cannot be read, the file itself as a report that cannot be."""
    try:
        with Bundle(file) as bundle:
            keys = list(bundle.keys())
    except (StorageError, OSError):
        yield FoundCrash(None, BundledFile(file, ""), {})
        return
    raws = {crash_id: key for key in keys if key.startswith(f"{RAW}/") and (crash_id := crash_id_in(key))}
    for crash_id, raw in sorted(raws.items()):
        before = dump_key(crash_id, "")
        dumps = {key[len(before) :]: BundledFile(file, key) for key in keys if key.startswith(before)}
        yield FoundCrash(crash_id, BundledFile(file, raw), dumps)


def _place(folder: Path) -> tuple[Path | None, str]:
    """Where the parts lie if this is a folder of raw crashes (else None), and under which day."""
    if folder.name == RAW:
        return folder.parent, ""
    if folder.parent.name == RAW and _DAY.fullmatch(folder.name):
        return folder.parent.parent, folder.name
    return None, ""


def _is_id(text: str) -> bool:
    try:
        day_of(text)
    except ValueError:
        return False
    return True


def _dumps(base: Path, day: str, crash_id: str) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for part in sorted(base.iterdir()):
        if part.name in _NO_FILES or not part.is_dir():
            continue
        for file in (part / day / crash_id, part / crash_id):
            if file.is_file() and _PART_NAME.fullmatch(part.name):
                found[MINIDUMP if part.name == _OWN_FILES else part.name] = file
        if part.name == _OWN_FILES:
            for file in sorted((part / day).glob(f"{crash_id}.*")):
                name = file.name[len(crash_id) + 1 :]
                if file.is_file() and _PART_NAME.fullmatch(name):
                    found[name] = file
    return found
