"""Some thousand crashes of made-up applications, written into a lake by the product's own writer.

Known truth: see `fill()`. Everything else comes from a seed.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.form import config_of, installed

from missioncontrol.crashes.fields import Fields, load_fields
from missioncontrol.crashes.index import CrashIndex, crash_row
from missioncontrol.lake.writer import LakeWriter
from missioncontrol.registry.load import load_registry

SIGNATURES = (
    "OutOfMemory | otter::Pond::grow", "otter::River::flow", "shutdownhang | otter::Dam::close", "EMPTY: no crashing thread identified; MissingThreadList",
    "static otter::Den::paint(otter::Rect const&, otter::Colour)", "core::panicking::panic_fmt | fish::Swim::turn",
    "libc.so.6 | abort | otter::assert_failed", "otter::Tail::wag", "java.lang.IllegalStateException: at org.otter.Reed.sway(Reed.java)",
    "@0x0 | otter::Whiskers::feel", "gl_driver.dll | otter::Canvas::flush", "IPCError-browser | ShutDownKill",
)  # fmt: skip
SYSTEMS = (
    ("Windows NT", "10.0.22631", "Windows 11", "amd64", "EXCEPTION_ACCESS_VIOLATION_READ"),
    ("Windows NT", "10.0.19045", "Windows 10", "x86", "EXCEPTION_ACCESS_VIOLATION_WRITE"),
    ("Mac OS X", "14.5.0", "macOS 14", "arm64", "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS"),
    ("Linux", "6.1.0", "Linux", "amd64", "SIGSEGV / SEGV_MAPERR"),
)
VERSIONS = ("4.0b1", "4.0b2", "4.0b3", "3.9.1", "3.9")


def crash_id(received: datetime, number: random.Random) -> str:
    """A crash id of that day."""
    text = str(uuid.UUID(int=number.getrandbits(128), version=4))
    return f"{text[:29]}0{received:%y%m%d}"


def document(received: datetime, signature: str | None, seed: random.Random, **other: Any) -> dict[str, Any]:
    """A processed crash as far as the table needs it."""
    name, system, pretty, arch, reason = seed.choice(SYSTEMS)
    version = other.get("version") or seed.choice(VERSIONS)
    built = received - timedelta(days=seed.randint(0, 5), hours=3)
    made = {
        "uuid": crash_id(received, seed),
        "date_processed": received.isoformat(),
        "product": "Otter",
        "version": version,
        "release_channel": "beta" if "b" in version else "release",
        "build": f"{built:%Y%m%d}093000",
        "signature": signature,
        "proto_signature": f"{signature} | otter::run | main",
        "process_type": seed.choice(("parent", "parent", "content", "gpu")),
        "os_name": name,
        "os_version": system,
        "os_pretty_version": pretty,
        "cpu_arch": arch,
        "reason": reason,
        "address": seed.choice(("0x0000000000000000", "0x0000000000000010", "0xe5e5e5e5e5e5e5e5")),
        "uptime": int(seed.expovariate(1 / 1500)),
        "install_age": int(seed.expovariate(1 / 900_000)),
        "install_time": 1_790_000_000 + seed.randint(0, 400),
        "startup_crash": seed.random() < 0.1,
        "is_garbage_collecting": seed.random() < 0.05,
        "throttle_rate": 1.0,
        "success": True,
    }
    if seed.random() < 0.05:
        made["user_comments"] = seed.choice(
            ("It was just swimming along.", "Again!\nEvery time <b>I</b> dive.", "Ich wollte nur drucken.")
        )
    return {**made, **other}


def crashes(now: datetime, count: int, seed: int = 7) -> Iterable[dict[str, Any]]:
    """Crashes of `Otter` in the last 30 days; a signature is the rarer the later it stands in `SIGNATURES`.

    `otter::Tail::wag` is of the last two days only; one report in 200 has no signature.
    """
    chance = random.Random(seed)
    weights = [1 / (n + 1) for n in range(len(SIGNATURES))]
    for _ in range(count):
        signature: str | None = chance.choices(SIGNATURES, weights)[0]
        days = 2.0 if signature == "otter::Tail::wag" else 30.0
        received = now - timedelta(days=chance.random() * days)
        yield document(received, None if chance.random() < 0.005 else signature, chance)


def write(data: Path, documents: Iterable[dict[str, Any]], fields: Fields | None = None) -> None:
    """Write crashes into the lake below a data folder, as a worker does."""
    registry = load_registry([])
    index = CrashIndex(LakeWriter(config_of(installed(data)).lake_place), registry, uuid.uuid4().hex)
    declared = fields or load_fields([])
    index.add([crash_row(d, declared, index.columns) for d in documents], datetime.now(UTC))


def main() -> None:
    """`python -m tests.support.crash_rows DATA COUNT` fills a data folder."""
    import sys

    data, count = Path(sys.argv[1]), int(sys.argv[2])
    write(data, crashes(datetime.now(UTC), count))
    print(json.dumps({"written": count}))


if __name__ == "__main__":
    main()
