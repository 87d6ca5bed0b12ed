"""`missioncontrol registry check`: validation, and the estimate of what declarations cost, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from missioncontrol.cli.context import Settings, open_services

if TYPE_CHECKING:
    from missioncontrol.config import Config
    from missioncontrol.registry.model import Registry
    from missioncontrol.telemetry.estimate import Cost, Estimate


def run_check(
    settings: Settings, files: Sequence[Path], names: Sequence[str], is_estimated: bool, as_json: bool
) -> None:
    """Validate, estimate and print. Raises `ConfigError` when the registry is wrong."""
    from missioncontrol.errors import BadRequest
    from missioncontrol.registry.compile import compile_document
    from missioncontrol.registry.load import load_registry

    for file in files:
        if not file.is_file():
            raise BadRequest("registry_missing", f"There is no file {file}.")
    config = settings.load()
    registry = load_registry([*config.registry_files, *files])
    for document in registry.pings:
        compile_document(registry, document)
    if not as_json:
        _say_valid(registry)
    dimensions, measures = _candidates(config, registry, files, names)
    estimate, note = None, ""
    if is_estimated and (dimensions or measures):
        estimate, note = _estimated(settings, registry, dimensions, measures)
    if as_json:
        click.echo(_json(registry, estimate, note))
    elif is_estimated:
        _say(estimate, note)


def _candidates(
    config: Config, registry: Registry, files: Sequence[Path], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The user's dimensions in use with those that are named, and the user's measures."""
    import difflib

    from missioncontrol.errors import BadRequest
    from missioncontrol.registry.load import names_in, user_files

    own = names_in(user_files([*config.registry_files, *files]))
    for name in names:
        if name not in registry.dimensions:
            close = difflib.get_close_matches(name, registry.dimensions, 1)
            hint = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(registry.dimensions)}."
            raise BadRequest("unknown_dimension", f"No dimension `{name}` is declared.", hint)
    in_use = [n for n in own["dimension"] if registry.dimensions[n].enabled]
    return list(dict.fromkeys([*in_use, *names])), own["measure"]


def _estimated(
    settings: Settings, registry: Registry, dimensions: Sequence[str], measures: Sequence[str]
) -> tuple[Estimate | None, str]:
    """The estimate, or why there is none."""
    from datetime import UTC, datetime

    from missioncontrol.errors import StorageError
    from missioncontrol.telemetry.estimate import estimate

    with open_services(
        settings, begins=True
    ) as services:  # what is declared can be checked before anything else
        try:
            found = estimate(
                services.reader.snapshot("pings"),
                registry,
                dimensions,
                measures,
                today=datetime.now(UTC).date(),
                max_inflated_bytes=services.config.stream.max_inflated_bytes,
            )
        except (StorageError, OSError) as error:
            return None, f"Not estimated: the archive cannot be read: {error}"
    return found, "" if found else "Not estimated: no pings are archived yet."


def _say_valid(registry: Registry) -> None:
    click.echo(
        f"Fine: {len(registry.documents)} documents, {len(registry.keys)} dimensions in use"
        f" (of {len(registry.dimensions)}), {len(registry.measures)} measures, revision {registry.revision}.",
        err=True,
    )


def _say(estimate: Estimate | None, note: str) -> None:
    if note:
        click.echo(note, err=True)
    if estimate is None:
        return
    click.echo(_sample_text(estimate), err=True)
    costs = [*estimate.costs, *([estimate.together] if estimate.together else [])]
    width = max(len(c.name) for c in costs)
    for cost in costs:
        click.echo(f"{cost.section:<9}  {cost.name:<{width}}  {_cost_text(cost)}")
    for warning in warnings_of(estimate):
        click.echo(f"Warning: {warning}", err=True)


def _sample_text(estimate: Estimate) -> str:
    whole = estimate.pings == estimate.pings_of_day
    if whole:
        return f"A day of error_aggregates, from all {estimate.pings_of_day:,} pings of {estimate.day}:"
    return (
        f"A day of error_aggregates, from a sample of {estimate.day}: {estimate.windows:,} of"
        f" {estimate.windows_of_day:,} windows of 5 minutes, {estimate.pings:,} of {estimate.pings_of_day:,} pings:"
    )


def _cost_text(cost: Cost) -> str:
    size = f"{_size(cost.bytes_with - cost.bytes_without)} ({_size(cost.bytes_without)} -> {_size(cost.bytes_with)})"
    if cost.section == "measure":
        return f"no rows, +{size}"
    return f"{cost.factor:.2f} x the rows ({cost.rows_without:,} -> {cost.rows_with:,}), +{size}"


def _size(size_bytes: int) -> str:
    if abs(size_bytes) < 1_000_000:
        return f"{size_bytes / 1e3:,.1f} kB"
    return f"{size_bytes / 1e6:,.1f} MB"


def warnings_of(estimate: Estimate) -> list[str]:
    """What deserves a second thought, in sentences."""
    from missioncontrol.telemetry.estimate import TOO_MANY

    found = []
    for cost in [*estimate.costs, *([estimate.together] if estimate.together else [])]:
        if cost.factor > TOO_MANY:
            found.append(
                f"{cost.name} multiplies the rows by {cost.factor:.1f}; queries slow down with them."
            )
        if cost.pings_lost and cost is not estimate.together:
            found.append(
                f"{cost.pings_lost:,} pings a day would not be counted: {cost.name} is no text in them."
            )
    if estimate.is_cut:
        found.append(
            "One window alone has more pings than are looked at: the real numbers of rows are larger."
        )
    return found


def _json(registry: Registry, estimate: Estimate | None, note: str) -> str:
    import msgspec

    content: dict[str, Any] = {
        "documents": len(registry.documents),
        "dimensions": [d.name for d in registry.keys],
        "measures": len(registry.measures),
        "revision": registry.revision,
        "estimate": estimate and _with_factors(estimate),
        "note": note,
        "warnings": warnings_of(estimate) if estimate else [],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


def _with_factors(estimate: Estimate) -> dict[str, Any]:
    import msgspec

    def listed(cost: Cost) -> dict[str, Any]:
        return {**msgspec.to_builtins(cost), "factor": round(cost.factor, 4)}

    together = estimate.together and listed(estimate.together)
    return {
        **msgspec.structs.asdict(estimate),
        "costs": list(map(listed, estimate.costs)),
        "together": together,
    }
