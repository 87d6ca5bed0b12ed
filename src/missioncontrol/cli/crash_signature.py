"""`missioncontrol crash signature`: why a crash is called what it is called. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from missioncontrol.cli.context import Settings, open_services, with_settings
from missioncontrol.cli.crash_signature_try import try_

if TYPE_CHECKING:
    from missioncontrol.crashes.signature import Explanation, FrameStep

_MOST_NOT_REACHED = 3


@click.group("signature")
def signature() -> None:
    """Explain signatures, and try other lists on crashes that are here.

    \b
    Examples:
      missioncontrol crash signature explain de1bb258-cbbf-4589-a673-34f800261126
      missioncontrol crash signature try --list prefix.txt --product Notes
    """


signature.add_command(try_)


@signature.command("explain")
@with_settings
@click.option("--json", "as_json", is_flag=True, help="All steps as JSON on stdout.")
@click.argument("crash_id")
def explain(settings: Settings, as_json: bool, crash_id: str) -> None:
    """Say how the signature of a crash comes about, by the lists and rules in force now.

    Each frame of the crashing thread with what was decided and by which line of which list, then what the rules made
    of it.

    \b
    Examples:
      missioncontrol crash signature explain de1bb258-cbbf-4589-a673-34f800261126
      missioncontrol crash signature explain --json de1bb258-cbbf-4589-a673-34f800261126 | jq .frames
    """
    import msgspec

    from missioncontrol.blobs.crash_keys import parsed_crash_id
    from missioncontrol.cli.stored_crash import read_processed

    known = parsed_crash_id(crash_id)
    with open_services(settings) as services:
        document = read_processed(services, known)
        processing = services.crash_settings()
        profile = processing.profile(document.get("product"))
        explanation = processing.signatures.explain(document, profile)
    filed = document.get("signature")
    if as_json:
        found = {
            "crash_id": known,
            "product": document.get("product"),
            "profile": profile,
            "filed_as": filed,
            "signature": explanation.signature.signature,
            "frames": explanation.frames,
            "rules": explanation.rules,
            "notes": explanation.signature.notes,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    click.echo("\n".join(_lines(explanation)))
    click.echo(f"\nBy the lists and rules of the profile {profile}, as they are now.", err=True)
    if filed != explanation.signature.signature:
        click.echo(
            f"The crash is filed as `{filed}`: the lists or rules changed since. To file it anew: "
            f"`missioncontrol crash reprocess {known}`.",
            err=True,
        )


def _lines(explanation: Explanation) -> list[str]:
    """Each step on lines of its own, since names of frames may be longer than any column."""
    lines = [explanation.signature.signature, "", "What each frame gave:"]
    frames = list(explanation.frames)
    reached = [step for step in frames if step.decision != "not reached"]
    shown = [*reached, *frames[len(reached) :][:_MOST_NOT_REACHED]]
    for step in shown:
        lines += _frame(step)
    if len(shown) < len(frames):
        lines.append(f"      and {len(frames) - len(shown):,} more that were not reached")
    if not frames:
        lines.append("  There was no stack to walk.")
    lines += ["", "What the rules made of it:"]
    lines += [f"  {step.rule}: {step.after}" for step in explanation.rules]
    if not explanation.rules:
        lines.append("  No rule changed it.")
    if explanation.signature.notes:
        lines += ["", "Notes:", *(f"  {note}" for note in explanation.signature.notes)]
    return lines


def _frame(step: FrameStep) -> list[str]:
    lines = [f"{step.position:>4}  {step.decision:<18}  {step.name or '(no name)'}"]
    if step.pattern:
        lines.append(f"{'':26}by {step.list}: {step.pattern}  ({step.where})")
    return lines
