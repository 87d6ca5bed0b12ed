"""`missioncontrol crash`: send, process and look at single crashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from missioncontrol.cli.context import Settings, local_name, open_services, with_settings
from missioncontrol.cli.crash_bug import bug
from missioncontrol.cli.crash_search import reprocess, search
from missioncontrol.cli.crash_signature import signature

_MOST_LINES = 60
"""Of the crashing stack that are shown."""


@click.group("crash")
def command() -> None:
    """Send crash reports, process them, look at single crashes, and search them.

    \b
    Examples:
      missioncontrol crash submit --url http://127.0.0.1:8000/submit -a ProductName=Notes -a Version=2.3 app.dmp
      missioncontrol crash show de1bb258-cbbf-4589-a673-34f800261126
      missioncontrol crash search product=Notes 'signature=~poke'
      missioncontrol crash reprocess --query 'signature=~poke'
      missioncontrol crash signature explain de1bb258-cbbf-4589-a673-34f800261126
    """


command.add_command(bug)
command.add_command(search)
command.add_command(reprocess)
command.add_command(signature)


@command.command("submit")
@click.option(
    "--url", default="http://127.0.0.1:8000/submit", show_default=True, help="Where reports are taken."
)
@click.option(
    "-a", "--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="May be repeated."
)
@click.argument("dump", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
def submit(url: str, annotations: tuple[str, ...], dump: Path | None) -> None:
    """Send a minidump (or annotations alone) as a client would; prints what the server answers.

    \b
    Example:
      missioncontrol crash submit -a ProductName=Notes -a Version=2.3.1 app.dmp
    """
    import urllib.error
    import urllib.request
    import uuid

    from missioncontrol.errors import BadRequest, StorageError

    fields = {}
    for text in annotations:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise BadRequest("bad_annotation", f"{text!r} is no NAME=VALUE.", "As in -a ProductName=Notes.")
        fields[name] = value
    boundary = f"----missioncontrol-{uuid.uuid4().hex}"
    body = _multipart(boundary, fields, dump)
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=120) as answer:
            click.echo(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace").strip()
        raise BadRequest("report_refused", f"{url} answered {error.code}: {said[:300]}") from None
    except (OSError, ValueError) as error:
        raise StorageError("server_unreachable", f"{url}: {error}.", "Does the server run?") from None


@command.command("process")
@with_settings
@click.option("--follow", is_flag=True, help="Go on until it is stopped; `serve` does this by itself.")
def process(settings: Settings, follow: bool) -> None:
    """Process the crashes that wait; with --follow also those that come.

    Several may run at once, on one data folder. A crash that fails is tried again later.

    \b
    Examples:
      missioncontrol crash process
      missioncontrol crash process --follow
    """
    import threading

    from missioncontrol.processes import call_on_end, end_with_parent

    stop = threading.Event()
    if follow:
        call_on_end(stop.set)
        end_with_parent(stop.set)
    with open_services(settings) as services, services.crash_worker() as worker:
        if follow:
            worker.run(stop)
        else:
            click.echo(f"{worker.run_until_idle():,} crashes processed.", err=True)


@command.command("show")
@with_settings
@click.option(
    "--json", "as_json", is_flag=True, help="The whole processed crash (or with --raw the annotations)."
)
@click.option("--raw", is_flag=True, help="What was sent, not what was made of it.")
@click.argument("crash_id")
def show(settings: Settings, as_json: bool, raw: bool, crash_id: str) -> None:
    """Show a crash: signature, reason, and the stack of the crashing thread.

    \b
    Examples:
      missioncontrol crash show de1bb258-cbbf-4589-a673-34f800261126
      missioncontrol crash show --raw --json de1bb258-cbbf-4589-a673-34f800261126 | jq .metadata
    """
    import json

    from missioncontrol.blobs.crash_objects import find_crash_id
    from missioncontrol.cli.stored_crash import read_processed, read_raw

    with open_services(settings) as services:
        known = find_crash_id(services.blobs, crash_id)
        document = (read_raw if raw else read_processed)(services, known)
    if as_json or raw:
        click.echo(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False))
    else:
        click.echo(_summary(document))


@command.command("delete")
@with_settings
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print what was deleted as JSON on stdout.")
@click.argument("crash_ids", nargs=-1, required=True, metavar="CRASH_ID...")
def delete(settings: Settings, yes: bool, as_json: bool, crash_ids: tuple[str, ...]) -> None:
    """Delete crashes everywhere: dumps, annotations, stacks, the row in the lake and in its files.

    That it was done is kept: who, when, and the crash id. A running server needs no restart.

    \b
    Example:
      missioncontrol crash delete --yes de1bb258-cbbf-4589-a673-34f800261126
    """
    import sys

    import msgspec

    from missioncontrol.blobs.crash_keys import parsed_crash_id
    from missioncontrol.errors import BadRequest

    known = [parsed_crash_id(c) for c in crash_ids]
    if not yes:
        if not sys.stdin.isatty():
            raise BadRequest("not_confirmed", "There is no terminal to ask whether to delete.", "Say --yes.")
        click.confirm(f"Delete {len(known):,} crashes for ever?", abort=True, err=True)
    with open_services(settings) as services:
        done = services.crash_deletion().delete(known, local_name())
    if as_json:
        click.echo(msgspec.json.encode(done))
    click.echo(
        f"{done.crashes:,} crashes are deleted: {done.objects:,} files, and {done.rows:,} rows of files of the lake. "
        "The former files of the lake go with the first vacuum after lake.vacuum_after_s.",
        err=True,
    )


def _summary(document: dict[str, Any]) -> str:
    lines = [f"{document['signature']}", ""]
    for title, name in (
        ("product", "product"), ("version", "version"), ("channel", "release_channel"), ("build", "build"),
        ("received", "date_processed"), ("process", "process_type"), ("reason", "reason"), ("address", "address"),
        ("system", "os_pretty_version"), ("processor", "cpu_info"), ("notes", "processor_notes"),
    ):  # fmt: skip
        value = document.get(name)
        if value not in (None, ""):
            lines.append(f"{title:>10}  {str(value).replace(chr(10), '; ')}")
    return "\n".join([*lines, *_crashing_stack(document)])


def _crashing_stack(document: dict[str, Any]) -> list[str]:
    """The stack as the page of the report shows it: inlined functions too, and how each was found in the same words."""
    from missioncontrol.web.crashes.frames import links_of, threads_of

    thread = next((t for t in threads_of(document, links_of(document, {})) if t.crashing), None)
    if thread is None or not thread.lines:
        return []
    lines = ["", "Crashing thread:"]
    for line in thread.lines[:_MOST_LINES]:
        source = f"  {line.file}" + (f":{line.line}" if line.line else "") if line.file else ""
        function = line.function or (f"? {line.where}" if line.where else "?")
        lines.append(f"{line.number:>4}  {line.module} {function}{source} ({line.trust})")
    if more := len(thread.lines) - _MOST_LINES:
        lines += [f"      {more:,} lines more; --json shows them all."] if more > 0 else []
    return lines


def _multipart(boundary: str, fields: dict[str, str], dump: Path | None) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if dump is not None:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="upload_file_minidump"; filename="{dump.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        parts.append(head.encode() + dump.read_bytes() + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
