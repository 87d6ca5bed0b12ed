"""Rules for Mozilla's products: what their annotations mean beyond a copy."""

from __future__ import annotations

from urllib.parse import unquote_plus

from missioncontrol.crashes.processing.model import Crash
from missioncontrol.crashes.processing.reading import (
    crashing_frames,
    object_at,
    objects_at,
    source_frames,
    text_at,
)

_ADDONS_LIMIT = 1000
_NAME_LIMIT = 1000
_UNSAFE_REASONS = ("Failed to load module", "byte index", "do not use eval with system privileges")
"""Beginnings of crash reasons that go on with text from a page or a file."""
_BETAS_OF = ("Firefox", "Thunderbird")
"""Products whose betas report the version that they will be released as; others say which beta they are."""
_NIGHTLY_ANDROID = "0.0a1"


def rewrite_nightly_version(crash: Crash) -> None:
    """Old nightlies on Android called their version `Nightly 201231 06:01`."""
    if crash.text("version").startswith("Nightly "):
        crash.document["version"] = _NIGHTLY_ANDROID


def rewrite_esr_version(crash: Crash) -> None:
    """Versions of the channel `esr` end with it."""
    version = crash.text("version")
    if crash.text("release_channel") == "esr" and version and not version.endswith("esr"):
        crash.document["version"] = f"{version}esr"


def rewrite_beta_version(crash: Crash) -> None:
    """A beta reports the version that it will be released as: the published one tells betas apart; `b0` if unknown."""
    look_up = crash.settings.release_version
    version, channel = crash.text("version"), crash.text("release_channel").lower()
    if (
        look_up is None
        or crash.text("product") not in _BETAS_OF
        or channel not in ("beta", "aurora")
        or not version
        or "b" in version
        or "a" in version
    ):
        return
    published = look_up(crash.text("product"), channel, crash.text("build"))
    if not published:
        crash.note("the version of this beta is not known")
    crash.document["version"] = published or f"{version}b0"


def find_submitted_from(crash: Crash) -> None:
    """`submitted_from`: older clients only say whether it was the bar."""
    if not crash.text("submitted_from"):
        infobar = crash.document.get("submitted_from_infobar") is True
        crash.document["submitted_from"] = "Infobar" if infobar else "Unknown"


def find_accessibility(crash: Crash) -> None:
    """`accessibility`: Active when services for it were in use."""
    if crash.annotation("Accessibility").strip().lower() in ("1", "active", "true"):
        crash.document["accessibility"] = "Active"


def list_addons(crash: Crash) -> None:
    """`addons`: `id:version` of each extension."""
    entries = [entry for entry in crash.annotation("Add-ons").split(",") if entry.strip()]
    if len(entries) > _ADDONS_LIMIT:
        crash.note(f"{len(entries)} add-ons; the first {_ADDONS_LIMIT} are listed")
    if entries:
        crash.document["addons"] = [_addon(entry) for entry in entries[:_ADDONS_LIMIT]]


def _addon(entry: str) -> str:
    name, _, version = unquote_plus(entry.strip()).partition(":")
    return f"{name[:_NAME_LIMIT]}:{version[:_NAME_LIMIT] or 'NO_VERSION'}"


def find_theme(crash: Crash) -> None:
    """`theme`: name, or id, of the theme in use."""
    theme = object_at(crash.document, "telemetry_environment", "addons", "theme")
    name = text_at(theme, "name") or text_at(theme, "id")
    if name:
        crash.document["theme"] = name


def publish_crash_reason(crash: Crash) -> None:
    """`moz_crash_reason`: the raw one, unless it goes on with what could be the user's."""
    raw = crash.text("moz_crash_reason_raw")
    if not raw:
        return
    unsafe = next((start for start in _UNSAFE_REASONS if raw.startswith(start)), None)
    crash.document["moz_crash_reason"] = f"{unsafe} (the rest is protected)" if unsafe else raw


def list_utility_actors(crash: Crash) -> None:
    """`utility_actors_name`: what a utility process was for."""
    names = [name.strip() for name in crash.annotation("UtilityActorsName").split(",")]
    if any(names):
        crash.document["utility_actors_name"] = [name for name in names if name][:_ADDONS_LIMIT]


def find_hang(crash: Crash) -> None:
    """`report_type`: a process that was stopped because it did not answer is a hang."""
    hung = crash.text("ipc_channel_error") or crash.text("async_shutdown_timeout")
    frames = source_frames(crashing_frames(crash.document))
    if hung or any("RunWatchdog" in text_at(frame, "function") for frame in frames):
        crash.document["report_type"] = "hang"


def find_distribution(crash: Crash) -> None:
    """`distribution_id`: from its annotation, else as telemetry tells it."""
    partner = object_at(crash.document, "telemetry_environment", "partner")
    named = crash.annotation("DistributionID")[:_NAME_LIMIT] or text_at(partner, "distributionId")
    unnamed = "mozilla" if "distributionId" in partner else "unknown"
    crash.document["distribution_id"] = named or unnamed


def blame_hung_thread(crash: Crash) -> None:
    """In a hang of the shutdown it is thread 0 that matters, not the watchdog that ended it."""
    if (
        crash.text("signature").startswith("shutdownhang")
        and crash.document.get("crashing_thread") is not None
    ):
        crash.document["crashing_thread"] = 0
        name = text_at((objects_at(crash.dump, "threads") or [{}])[0], "thread_name")
        crash.document["crashing_thread_name"] = name
