"""The rule sets of crash_aggregates: each is a small registry of its own, under which the same extraction runs.

The daily batch had several editions that counted differently. Their rules are declared in `rules/*.toml`, each
edition as what it changed of the one before, and are never mixed: a run is made under one rule set. Does no I/O
but reading them.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import msgspec

from missioncontrol.errors import BadRequest
from missioncontrol.registry.load import SourceFile, parse_registry
from missioncontrol.registry.model import Registry

DEFAULT_RULES = "default"
RULE_SETS: dict[str, tuple[str, ...]] = {
    "default": ("cra.toml", "cav.toml", "default.toml"),
    "cra": ("cra.toml",),
    "cav": ("cra.toml", "cav.toml"),
}
"""Name -> the files whose blocks are laid over each other."""
RULE_WORDS: dict[str, str] = {
    "default": "main-process crash pings, as today",
    "cav": "as default, without e10s_cohort (the Scala job)",
    "cra": "crash pings of every process (the first Python job)",
}
"""What tells each from the others."""
ACTIVITY_DATE = "activity_date"
"""The dimension that becomes a column of its own."""


def rule_registry(name: str, registry: Registry) -> Registry:
    """What the rule set declares, with the applications' channels of `registry`, of which none is dropped.

    Raises `BadRequest` (`unknown_rules`).
    """
    if name not in RULE_SETS:
        known = ", ".join(RULE_SETS)
        raise BadRequest("unknown_rules", f"There is no rule set {name[:80]!r}.", f"Known: {known}.")
    rules = _read(name)
    declared = {n: msgspec.structs.replace(a, drop_channels=[]) for n, a in registry.applications.items()}
    return msgspec.structs.replace(
        rules,
        applications={**rules.applications, **declared},
        revision=f"{name}-{rules.revision}-{registry.revision}",
    )


@lru_cache
def _read(name: str) -> Registry:
    folder = resources.files("missioncontrol.registry") / "rules"
    files = [SourceFile(f, (folder / f).read_text(encoding="utf-8")) for f in RULE_SETS[name]]
    return parse_registry(files, reserved=())
