"""Annotations as the collector keeps them: names of other clients understood, what must not be stored left out.

Crashpad, Electron and Sentry name product and version differently; the names that everything here goes by
(`ProductName`, `Version`, ...) are added where they are missing, and what was sent stays beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

NEVER_STORED = ("Email", "TelemetryClientId", "TelemetryServerURL", "TelemetrySessionId")
_NAMES = {
    # Electron's own name and version come as prod and ver, the application's with an underscore.
    "ProductName": ("_productName", "prod", "product", "ProductID"),
    "Version": ("_version", "ver", "version", "ProductVersion"),
    "ReleaseChannel": ("channel", "release_channel", "_channel"),
    "ProcessType": ("process_type", "ptype"),
    "Vendor": ("_companyName", "companyName", "vendor"),
    "BuildID": ("build_id", "buildid", "build"),
}
PROCESSES = {"browser": "parent", "main": "parent", "renderer": "content", "gpu-process": "gpu"}
"""Kinds of processes as Chromium's clients name them -> as everything here does."""
_FROM_ADDRESS = ("product", "version", "prod", "ver", "guid", "channel", "build_id")
_LONGEST_QUERY = 8192


def understood(annotations: Mapping[str, str], query: bytes) -> dict[str, str]:
    """All annotations, with the usual names added; `query` is the address's, where Crashpad repeats some."""
    kept = dict(annotations)
    for name, value in parse_qsl(query[:_LONGEST_QUERY].decode("latin-1"), max_num_fields=None):
        if name in _FROM_ADDRESS:
            kept.setdefault(name, value)
    _add_sentry(kept)
    for name, others in _NAMES.items():
        if not kept.get(name):
            found = next((kept[other] for other in others if kept.get(other)), "")
            if found:
                kept[name] = PROCESSES.get(found, found) if name == "ProcessType" else found
    return kept


def without_forbidden(annotations: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The annotations that may be stored, and a note for each that may not."""
    found = [name for name in NEVER_STORED if name in annotations]
    kept = {name: value for name, value in annotations.items() if name not in NEVER_STORED}
    return kept, [f"removed {name} from raw crash" for name in found]


def _add_sentry(kept: dict[str, str]) -> None:
    """`sentry` holds JSON; `sentry[release]` and the like hold its fields. A release is `product@version`."""
    event: dict[str, object] = {}
    try:
        found = msgspec.json.decode(kept.get("sentry", "{}"))
        event = found if isinstance(found, dict) else {}
    except (msgspec.DecodeError, RecursionError):
        pass  # kept as it is; whoever looks sees it
    for field in ("release", "environment"):
        value = event.get(field) or kept.get(f"sentry[{field}]")
        if isinstance(value, str) and value:
            event[field] = value
    release = event.get("release")
    if isinstance(release, str):
        product, _, version = release.rpartition("@")
        for name, value in (("ProductName", product), ("Version", version)):
            if value:
                kept.setdefault(name, value)
    environment = event.get("environment")
    if isinstance(environment, str):
        kept.setdefault("ReleaseChannel", environment)
