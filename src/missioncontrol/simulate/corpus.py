"""Submissions written as the lines that `missioncontrol import pings` reads, with what they must add up to.

A line is the decoded ping with the server's `meta` added. Defects of known number can be put in; the report
says how many lines must be counted, and with what totals. Nothing here imports or counts anything into a
lake.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from isal import igzip

from missioncontrol.errors import BadRequest
from missioncontrol.simulate.fleet import Fleet
from missioncontrol.simulate.stamps import DAY_S, NS, compact_day
from missioncontrol.simulate.submission import Meta, Submission
from missioncontrol.simulate.tally import CorpusReport, Defects, Tally

DEFAULT_BYTES = 41_500
"""About the mean length of a main ping in a corpus."""
_OLD_DAYS = 300
_REMEMBERED = 32
_DUPLICATES_AFTER = 64
"""A duplicate needs a line before it to repeat, so none comes before this line."""


def make_corpus(
    path: Path,
    count: int,
    *,
    seed: int,
    now_ns: int,
    size_bytes: int = DEFAULT_BYTES,
    clients: int = 5_000,
    glean_share: float = 0.0,
    light: bool = False,
    defects: Defects = Defects(),
) -> CorpusReport:
    """Write `count` lines of a fleet's last pings received before `now_ns`; gzip when the name ends in `.gz`.

    `size_bytes` is about the mean length of a main ping (25,500 to 170,000). Raises `BadRequest` when it is
    out of reach, and for defects that do not fit into `count` lines.
    """
    sizes = (size_bytes - 1_500, size_bytes + 3_500)
    fleet = Fleet(seed, clients, now_ns, glean_share=glean_share, sizes=sizes)
    return write_corpus(path, fleet.last(count, light=light), count, defects=defects, seed=seed)


def write_corpus(
    path: Path,
    submissions: Iterable[Submission],
    count: int,
    *,
    defects: Defects = Defects(),
    seed: int = 0,
) -> CorpusReport:
    """Write `count` lines of `submissions` (as many as there are, without defects); gzip when named `.gz`."""
    plan = _plan(count, defects, seed)
    tally = Tally()
    with _open(path) as file:
        for line in _lines(submissions, count, plan, tally):
            file.write(line)
            tally.size_bytes += len(line)
    if tally.planned != defects.total:
        raise BadRequest(
            "simulated_defects",
            f"Only {tally.planned} of {defects.total} defects found a main ping in {tally.lines} lines.",
            "Ask for more lines or fewer defects.",
        )
    return tally.report(path, defects)


def _plan(count: int, defects: Defects, seed: int) -> dict[int, deque[str]]:
    """From line number to the defects due from there on; a defect waits for the next main ping."""
    names = [name for name in defects.__struct_fields__ for _ in range(getattr(defects, name))]
    usable = range(min(_DUPLICATES_AFTER, count), max(count - _DUPLICATES_AFTER, 0))
    if len(names) > len(usable) // 2:
        raise BadRequest(
            "simulated_defects",
            f"{len(names)} defects do not fit into {count} lines.",
            f"Lines {usable.start} to {usable.stop} can have one, and at most half of them do.",
        )
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, len(names)])))
    places = rng.choice(len(usable), size=len(names), replace=False).tolist() if names else []
    plan: dict[int, deque[str]] = {}
    for place, name in zip(places, names, strict=True):
        plan.setdefault(usable[place], deque()).append(name)
    return plan


def _lines(
    submissions: Iterable[Submission], count: int, plan: dict[int, deque[str]], tally: Tally
) -> Iterator[bytes]:
    due: deque[str] = deque()
    clean: deque[Submission] = deque(maxlen=_REMEMBERED)
    source = iter(submissions)
    for number in range(count):
        due.extend(plan.get(number, ()))
        if due and due[0] == "duplicates" and clean:
            due.popleft()
            tally.duplicate(clean[0])
            yield _line(msgspec.structs.replace(clean[0], received_ns=clean[-1].received_ns + 1))
            continue
        submission = next(source, None)
        if submission is None:
            return
        if due and submission.document_type == "main" and due[0] != "duplicates":
            yield _defective(submission, due.popleft(), tally, number)
            continue
        tally.count(submission)
        clean.append(submission)
        yield _line(submission)


def _defective(submission: Submission, defect: str, tally: Tally, number: int) -> bytes:
    """The line of a main ping with one defect."""
    tally.planned += 1
    if defect == "late":
        delay_ns = (DAY_S + number % (5 * DAY_S)) * NS
        submission = msgspec.structs.replace(submission, received_ns=submission.received_ns + delay_ns)
    if defect in ("late", "split_date"):
        tally.count(submission)
    else:
        tally.skip(submission)
    return _spoiled(submission, defect)


def _spoiled(submission: Submission, defect: str) -> bytes:
    body, meta = submission.body, submission.meta
    match defect:
        case "late":
            return _line(submission)
        case "split_date":
            next_day = compact_day(submission.received_ns // NS + DAY_S)
            return _line(submission, msgspec.structs.replace(meta, submissionDate=next_day))
        case "malformed":
            return body[: len(body) // 2] + b"\n"
        case "old_build":
            old = f"{_days_before(submission.build_id, _OLD_DAYS)}{submission.build_id[8:]}"
            body = body.replace(submission.build_id.encode(), old.encode())
            return _line(msgspec.structs.replace(submission, build_id=old, body=body))
        case "other_channel":
            body = body.replace(f'"channel":"{submission.channel}"'.encode(), b'"channel":"default"')
            other = msgspec.structs.replace(meta, normalizedChannel="Other")
            return _line(msgspec.structs.replace(submission, body=body), other)
        case _:
            return _line(msgspec.structs.replace(submission, body=_edited(body, defect)))


def _edited(body: bytes, defect: str) -> bytes:
    ping: dict[str, Any] = msgspec.json.decode(body)
    if defect == "missing_application":
        del ping["application"]
    else:
        info = ping["payload"]["info"]
        info["subsessionLength"] = f"{info['subsessionLength']} s"
    return msgspec.json.encode(ping)


def _line(submission: Submission, meta: Meta | None = None) -> bytes:
    return submission.body[:-1] + b',"meta":' + msgspec.json.encode(meta or submission.meta) + b"}\n"


def _days_before(build_id: str, days: int) -> str:
    day = np.datetime64(f"{build_id[:4]}-{build_id[4:6]}-{build_id[6:8]}") - np.timedelta64(days, "D")
    return str(day).replace("-", "")


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO | igzip.IGzipFile]:
    """A plain file, or a gzip file without name or time in its header: the same corpus is the same bytes."""
    with path.open("wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with igzip.IGzipFile("", "wb", 2, file, mtime=0) as packed:
            yield packed
