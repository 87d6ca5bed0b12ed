"""`missioncontrol simulate trains`."""

from __future__ import annotations

from pathlib import Path

import click

from missioncontrol.errors import BadRequest


@click.command("trains")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the files.")
@click.option("--scenario", default="clean", show_default=True, metavar="NAME", help="The candidate's story.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Same seed, same train.")
@click.option(
    "--clients", type=click.IntRange(1_000), default=60_000, show_default=True, help="Distinct clients."
)
@click.option(
    "--weight",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Clients that each of them stands for.",
)
@click.option(
    "--releases",
    type=click.IntRange(2, 60),
    default=14,
    show_default=True,
    help="Two weeks apart; the last is judged.",
)
@click.option("--list", "listed", is_flag=True, help="Print the scenarios and what is wrong in each.")
def command(
    out: Path | None, scenario: str, seed: int, clients: int, weight: int, releases: int, listed: bool
) -> None:
    """Write a train of releases as import files, with the truth about its last release in truth.json.

    The files are the 5-minute sums of a simulated fleet, release after release, as `import` reads them. What is wrong
    with the last release, or only looks wrong, is its scenario.

    \b
    Examples:
      missioncontrol simulate trains --list
      missioncontrol simulate trains --out train --scenario x1.5 --seed 7
      missioncontrol simulate trains --out train --scenario linux_x2 --clients 200000 --weight 10
    """
    from missioncontrol.simulate.trains.scenarios import SCENARIOS, said

    if listed:
        for each in SCENARIOS.values():
            click.echo(f"{each.name:22}{said(each)}")
        return
    if out is None:
        raise BadRequest("no_folder", "--out is missing", "name a folder: --out train")
    if scenario not in SCENARIOS:
        raise BadRequest(
            "no_such_scenario",
            f"there is no scenario {scenario!r}",
            "see missioncontrol simulate trains --list",
        )
    from missioncontrol.simulate.trains.files import APPLICATION, CHANNEL, write_story

    written, truth = write_story(out, scenario, seed, clients, weight, releases)
    of = f"--application {APPLICATION} --channel {CHANNEL}"
    click.echo(f"{truth.version}, published {truth.published_at}: {said(SCENARIOS[scenario])}")
    click.echo("To judge it:")
    click.echo(f"  missioncontrol import aggregates {written.aggregates}")
    if written.activity:
        click.echo(f"  missioncontrol import aggregates --table usage_by_activity {written.activity}")
    click.echo(f"  missioncontrol import releases {written.releases}")
    click.echo(f"  missioncontrol verdict {of} --version {truth.version}")
