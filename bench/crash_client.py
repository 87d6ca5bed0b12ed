"""Posts crash reports of about 150 kB and times the answers; in a process of its own. `crash_client.py PORT ...`.

Each report comes on a connection of its own, as those of clients do, and has annotations of its own, so that none is a
resend. Closed loop: as many at once as told. With a rate, reports are due at even distances, and a latency counts from
when its report was due. What is accepted is told on stdout if wanted: when its POST began, its id and the place that
crashed. The last line is the answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from figures import quantile

BOUNDARY = "---------------------------crash0report0boundary"
_END = f"\r\n--{BOUNDARY}--\r\n".encode()
_GIVE_UP_S = 60.0
_DAY_S = 86_400


class Arguments(msgspec.Struct, frozen=True):
    """What the benchmark wants."""

    port: int
    dumps: str
    """Folder of minidumps, taken in turns."""
    count: int
    connections: int
    rate_per_s: float = 0.0
    """0: as fast as they are answered."""
    told: bool = False
    """Whether each accepted report is told."""


def _environment() -> str:
    """As much as that of a profile with some add-ons."""
    addon = {"userDisabled": False, "appDisabled": False, "scope": 1, "type": "extension", "hasBinaryComponents": False,
             "foreignInstall": False, "installDay": 20_000, "updateDay": 20_100, "isSystem": False}  # fmt: skip
    told = {
        "build": {"applicationName": "Firefox", "architecture": "x86-64", "version": "153.0", "vendor": "Mozilla"},
        "system": {"memoryMB": 16_000, "cpu": {"count": 8, "cores": 4, "vendor": "GenuineIntel", "family": 6},
                   "os": {"name": "Linux", "version": "6.1", "locale": "en-US"}},
        "settings": {"locale": "en-US", "isDefaultBrowser": True, "e10sEnabled": True},
        "addons": {"activeAddons": {f"addon{n}@example.org": {"version": f"1.{n}", **addon} for n in range(18)}},
    }  # fmt: skip
    return msgspec.json.encode(told).decode()


_SAME = {
    "ProductName": "Firefox", "Vendor": "Mozilla", "Version": "153.0", "BuildID": "20261120093000",
    "ReleaseChannel": "release", "ProductID": "{00000000-0000-4000-8000-000000000000}", "SafeMode": "0",
    "SecondsSinceLastCrash": "86400", "StartupCrash": "0", "SubmittedFrom": "Client", "Throttleable": "1",
    "DOMFissionEnabled": "1", "useragent_locale": "en-US", "ContentSandboxLevel": "4", "Notes": "a note " * 60,
    "AdapterVendorID": "0x8086", "AdapterDeviceID": "0x3e9b", "AdapterDriverVersion": "23.2.1",
    "AvailablePageFile": "9000000000", "AvailableVirtualMemory": "130000000000", "TotalPageFile": "24000000000",
    "TotalPhysicalMemory": "16000000000", "Add-ons": ",".join(f"addon{n}%40example.org:1.{n}" for n in range(18)),
    "TelemetryEnvironment": _environment(),
}  # fmt: skip


def annotations(number: int, now_s: int) -> bytes:
    """The annotations of one report, as JSON: the usual ones of a browser."""
    own = {
        "InstallTime": str(now_s - 40 * _DAY_S - number % 97), "StartupTime": str(now_s - 7000),
        "CrashTime": str(now_s), "UptimeTS": f"{6000 + number % 1000}.25", "URL": f"https://example.org/{number}",
        "AvailablePhysicalMemory": str(4_000_000_000 + number), "CrashGuid": str(uuid.uuid4()),
    }  # fmt: skip
    return msgspec.json.encode({**_SAME, **own})


def request(number: int, dump: bytes) -> list[bytes]:
    """A whole request, in pieces."""
    extra = annotations(number, int(time.time()))
    before = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="extra"; filename="extra.json"\r\n'
        "Content-Type: application/json\r\n\r\n"
    ).encode()
    between = (
        f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="upload_file_minidump"; '
        'filename="a.dmp"\r\nContent-Type: application/octet-stream\r\n\r\n'
    ).encode()
    length = sum(map(len, (before, extra, between, dump, _END)))
    head = (
        "POST /submit HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: crashreporter/1.0\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    )
    return [head.encode(), before, extra, between, dump, _END]


class Upload(asyncio.Protocol):
    """One report on its connection; `answer` is whole when the server closes it."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces, self._received = pieces, b""
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).writelines(self._pieces)

    def data_received(self, data: bytes) -> None:
        self._received += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(self._received)


async def run(wanted: Arguments) -> tuple[float, list[float]]:
    """(seconds in all, milliseconds of each answer)."""
    loop = asyncio.get_running_loop()
    files = sorted(Path(wanted.dumps).iterdir(), key=lambda file: int(file.stem))
    dumps = [file.read_bytes() for file in files]
    numbers = iter(range(wanted.count))
    latencies_ms: list[float] = []
    begin = time.monotonic()

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            due = begin + number / wanted.rate_per_s if wanted.rate_per_s else time.monotonic()
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            place = number % len(dumps)
            pieces = request(number, dumps[place])
            started = time.monotonic()
            _, upload = await loop.create_connection(lambda p=pieces: Upload(p), "127.0.0.1", wanted.port)  # type: ignore[misc]
            answer = await asyncio.wait_for(upload.answer, _GIVE_UP_S)
            latencies_ms.append((time.monotonic() - due) * 1000)
            if not answer.startswith(b"HTTP/1.1 200") or b"CrashID=bp-" not in answer:
                raise SystemExit(f"unexpected answer: {answer[:300]!r}")
            if wanted.told:
                crash_id = answer.split(b"CrashID=bp-")[1].strip().decode()
                print(started, crash_id, place, flush=True)

    await asyncio.gather(*(work(numbers) for _ in range(wanted.connections)))
    return time.monotonic() - begin, latencies_ms


def main() -> None:
    wanted = msgspec.json.decode(sys.argv[1], type=Arguments)
    seconds, latencies_ms = uvloop.run(run(wanted))
    dump = next(Path(wanted.dumps).iterdir()).read_bytes()
    answer = {
        "seconds": seconds,
        "p50_ms": quantile(latencies_ms, 0.5),
        "p99_ms": quantile(latencies_ms, 0.99),
        "cpu_s": time.process_time(),
        "bytes": sum(map(len, request(0, dump))),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
