"""Rules on the report as such: its annotations cleaned, listed, copied into the fields that are declared."""

from __future__ import annotations

import re

import msgspec

from missioncontrol.crashes.fields.values import JSON_LIMIT
from missioncontrol.crashes.processing.model import MAIN_DUMP, Crash
from missioncontrol.crashes.processing.reading import object_at

_KEYS_LIMIT = 1000
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_ANNOTATIONS = {"uuid", "submitted_timestamp", "version", "metadata"}
_COPIED_METADATA = (
    "collector_notes",
    "dump_checksums",
    "payload_size",
    "throttle_rate",
    "throttle_rule",
    "user_agent",
)

_PRERELEASE = re.compile(
    r"\s*v?[0-9]+(?:\.[0-9]+){1,3}-(alpha|beta|rc|nightly|canary|preview|dev)(?![A-Za-z])", re.IGNORECASE
)
"""Semantic versions with the usual names of pre-releases: https://semver.org, 9."""


def clean_annotations(crash: Crash) -> None:
    """Drop what is null, NUL bytes, and halves of characters that no UTF-8 can hold."""
    cleaned, changed = {}, 0
    for key, value in crash.raw.items():
        if value is None:
            continue
        name, kept = _clean(key), _clean(value) if isinstance(value, str) else value
        changed += name is not key or kept is not value
        cleaned[name] = kept
    if changed:
        crash.note(f"bytes that are no text were taken out of {changed} annotations")
    crash.raw = cleaned


def list_keys(crash: Crash) -> None:
    """`crash_report_keys`: names of annotations and files, sorted."""
    files = object_at(crash.raw, "metadata", "dump_checksums")
    names = {
        _OTHER.sub("", name)[:100]
        for name in [*crash.raw, *files, *crash.walked]
        if name not in _NOT_ANNOTATIONS
    }
    keys = sorted(name for name in names if name)
    if len(keys) > _KEYS_LIMIT:
        crash.note(f"{len(keys)} annotations and files; the first {_KEYS_LIMIT} names are listed")
    crash.document["crash_report_keys"] = keys[:_KEYS_LIMIT]


def copy_metadata(crash: Crash) -> None:
    """What the collector says of the report."""
    metadata = object_at(crash.raw, "metadata")
    for key in _COPIED_METADATA:
        if metadata.get(key) is not None:
            crash.document[key] = metadata[key]
    checksum = object_at(metadata, "dump_checksums").get(MAIN_DUMP)
    if isinstance(checksum, str):
        crash.document["minidump_sha256_hash"] = checksum


def copy_annotations(crash: Crash) -> None:
    """Every declared field that has an annotation in this report."""
    values, notes = crash.settings.fields.copy(crash.raw)
    crash.document.update(values)
    for note in notes:
        crash.note(note)


def identify(crash: Crash) -> None:
    """`uuid`, and `crash_id`, which is another name of it."""
    uuid = crash.annotation("uuid")
    crash.document["uuid"] = crash.document["crash_id"] = uuid


def default_process_type(crash: Crash) -> None:
    """The first process of a program has many names: `parent`."""
    if crash.text("process_type") in ("", "default", "main"):
        crash.document["process_type"] = "parent"


def find_major_version(crash: Crash) -> None:
    """The first number of the version."""
    match = re.match(r"\s*v?([0-9]{1,9})(?![0-9])", crash.text("version"))
    if match:
        crash.document["major_version"] = int(match[1])


def find_channel(crash: Crash) -> None:
    """`release_channel` out of a version's pre-release, where the client named none: `2.4.0-beta.1` is of `beta`."""
    match = _PRERELEASE.match(crash.text("version"))
    if match and not crash.text("release_channel"):
        crash.document["release_channel"] = match[1].lower()


def find_platform_version(crash: Crash) -> None:
    """`platform_version` of an Electron application: Electron's own version."""
    if crash.text("handler_product") == "Electron" and not crash.text("platform_version"):
        version = crash.text("handler_version")
        if version:
            crash.document["platform_version"] = version


def read_breadcrumbs(crash: Crash) -> None:
    """A list of what happened before, in Sentry's shape: the list, or an object with `values`."""
    value = crash.raw.get("Breadcrumbs")
    if value is None:
        return
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value) if len(value) <= JSON_LIMIT else None
        except (msgspec.DecodeError, ValueError, RecursionError):
            value = None
    crumbs = value.get("values") if isinstance(value, dict) else value
    if isinstance(crumbs, list) and all(isinstance(crumb, dict) for crumb in crumbs):
        crash.document["breadcrumbs"] = crumbs
    else:
        crash.note("Breadcrumbs: no list of objects")


def find_report_type(crash: Crash) -> None:
    """`crash`, or `hang` when the report says that it is one."""
    crash.document["report_type"] = "hang" if crash.text("hang") else "crash"


def _clean(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            text = _SURROGATE.sub("\ufffd", text)
    return text
