"""`missioncontrol registry import-probes`, `probes` and `add --probe`: from a probe's name to a measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, with_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missioncontrol.config import Config
    from missioncontrol.registry.probe_checks import Wanted
    from missioncontrol.registry.probes import Probe

_SHOWN = 40


@click.command("import-probes")
@with_settings
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--source", default="", help="Glean application of files that do not name it.")
@click.option("--json", "as_json", is_flag=True, help="Print what was taken as JSON on stdout.")
def import_probes(settings: Settings, files: tuple[Path, ...], source: str, as_json: bool) -> None:
    """Take Mozilla's probe files into the dictionary that `registry add --probe` picks from.

    FILE is probe-info JSON of Firefox (all_probes) or of a Glean application (metrics), or an application's index.json
    of the Glean Dictionary; .gz too. What was imported of the same source before is replaced.

    \b
    Examples:
      missioncontrol registry import-probes all_probes.json
      missioncontrol registry import-probes firefox-desktop-metrics.json
      missioncontrol registry import-probes --source fenix metrics.json.gz
    """
    import gc
    import json

    from missioncontrol.registry.probe_files import read_probe_file
    from missioncontrol.registry.probes import load_probes, save_probes

    gc.disable()  # Millions of objects and no cycles: looking for those would double the time.
    path = settings.load().probes_path
    read = [read_probe_file(file, source) for file in files]
    save_probes(path, load_probes(path).replaced(p for file in read for p in file.probes))
    if as_json:
        taken = [
            {"source": f.source, "probes": len(f.probes), "by_kind": f.by_kind, "skipped": f.skipped}
            for f in read
        ]
        click.echo(json.dumps(taken))
        return
    for file, name in zip(read, files, strict=True):
        click.echo(f"{name}: {len(file.probes):,} probes of {file.source}.", err=True)
        for kind, count in file.by_kind.items():
            click.echo(f"  {count:>7,}  {kind}", err=True)
        for reason, count in file.skipped.items():
            click.echo(f"  {count:>7,}  passed over: {reason}", err=True)


@click.command("probes")
@with_settings
@click.argument("pattern", default="")
@click.option("--source", default="", help="Only of this source: firefox, or a Glean application.")
@click.option("--json", "as_json", is_flag=True, help="All that match as JSON on stdout.")
def probes(settings: Settings, pattern: str, source: str, as_json: bool) -> None:
    """List the imported probes that match PATTERN: a part of name or description, or a name with * and ?.

    \b
    Examples:
      missioncontrol registry probes gc_
      missioncontrol registry probes 'GC_*' --json | jq -r '.[].name'
    """
    import msgspec

    from missioncontrol.errors import NotFound
    from missioncontrol.registry.probe_measure import suggestion
    from missioncontrol.registry.probes import load_probes

    dictionary = load_probes(settings.load().probes_path)
    if not dictionary:
        raise NotFound(
            "probes_missing", "No probes are imported.", "See missioncontrol registry import-probes --help."
        )
    found = [p for p in dictionary.search(pattern) if source in ("", p.source)]
    if as_json:
        listed = [{**msgspec.to_builtins(p), "add": suggestion(p)} for p in found]
        click.echo(msgspec.json.format(msgspec.json.encode(listed), indent=2))
        return
    for probe in found[:_SHOWN]:
        _show(probe)
    if len(found) > _SHOWN:
        click.echo(f"... and {len(found) - _SHOWN:,} more; narrow the pattern, or --json for all.", err=True)
    if not found:
        near = dictionary.nearest(pattern)
        raise NotFound(
            "probe_unknown", f"No probe matches `{pattern}`.", f"Similar: {', '.join(near)}." if near else ""
        )


def _show(probe: Probe) -> None:
    from missioncontrol.registry.probe_checks import obstacle
    from missioncontrol.registry.probe_measure import suggestion

    where = ", ".join(probe.processes or probe.pings) or "?"
    marks = (" keyed" if probe.keyed and probe.family != "glean" else "") + (
        " retired" if probe.retired else ""
    )
    kind = probe.kind if probe.family in ("glean", probe.kind) else f"{probe.family} {probe.kind}"
    click.echo(f"{probe.name}  [{probe.source}: {kind}{marks}; in {where}]")
    if probe.description:
        text = probe.description
        click.echo(f"    {text[:200]}{'...' if len(text) > 200 else ''}")
    options = suggestion(probe)
    click.echo(
        f"    missioncontrol registry add {options}" if options else f"    no measure: {obstacle(probe)}"
    )


def add_probe(
    settings: Settings, name: str, wanted: Wanted, source: str, kind: str, is_dry_run: bool
) -> None:
    """Write the block of a probe into the user's registry, show it, and say what follows."""
    from missioncontrol.registry.edit import add_text, check_text
    from missioncontrol.registry.load import SourceFile, load_registry
    from missioncontrol.registry.probe_measure import measure_block
    from missioncontrol.registry.probe_pick import pick

    config = settings.load()
    probe, notes = pick(config.probes_path, name, source, kind, is_keyed=bool(wanted.key))
    block = measure_block(probe, wanted, load_registry(config.registry_files))
    given = SourceFile(f"--probe {name}", block.text)
    if is_dry_run:
        check_text(config.registry_files, given)
    else:
        add_text(config.registry_files, given)
    click.echo(block.text, nl=False)
    for note in [*notes, *block.notes]:
        click.echo(f"Note: {note}", err=True)
    _say_next(config, probe, block.name, is_dry_run)


def _say_next(config: Config, probe: Probe, measure: str, is_dry_run: bool) -> None:
    from missioncontrol.web.address import measure_path

    if is_dry_run:
        click.echo("Nothing was written.", err=True)
        return
    application = "Firefox" if probe.family != "glean" else probe.source
    page = measure_path(application, "release", measure)
    click.echo(
        f"Added to {config.registry_files[-1]}; a running server counts it from the next ping on.\n"
        f"  its page (application and channel as you like):  {page}\n"
        f"  its past, from the archived pings:               missioncontrol registry backfill {measure} --since DATE\n"
        f"  what it costs:                                   missioncontrol registry check",
        err=True,
    )


def names_of(values: Sequence[str]) -> tuple[str, ...]:
    """Names given one by one or separated by commas."""
    return tuple(name.strip() for value in values for name in value.split(",") if name.strip())
