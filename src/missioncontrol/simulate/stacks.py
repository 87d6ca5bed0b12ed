"""What only crash pings hold: metadata of the crash and stack traces.

Module names, addresses and annotations are made up; the annotations that a server reads follow the event.
"""

from __future__ import annotations

import msgspec
import numpy as np

from missioncontrol.simulate.sessions import MAIN_CRASH, Event

_POOL = 64
_MODULES = ("xul.dll", "mozglue.dll", "nss3.dll", "ntdll.dll", "kernelbase.dll", "user32.dll", "firefox.exe")


def metadata(event: Event, build_id: str) -> bytes:
    """`payload.metadata` of a crash: all values are text, as clients send them."""
    notes: dict[str, str] = {
        "BuildID": build_id,
        "ProductName": "Firefox",
        "ReleaseChannel": "default",
        "ThreadIdNameMapping": "4512:Gecko_IOThread,4516:Timer,4520:Socket Thread,4532:JS Helper",
        "SecondsSinceLastCrash": str(event.noise % 5_000_000),
        "AvailablePhysicalMemory": str((event.noise >> 24) % 9_000_000_000),
        "AvailableVirtualMemory": str(138_000_000_000_000 + (event.noise >> 20) % 1_000_000_000),
        "TotalPhysicalMemory": "17044660224",
        "UptimeTS": f"{event.end - event.start}.0",
        "CrashTime": str(event.end),
    }
    if event.kind == MAIN_CRASH:
        notes["StartupCrash"] = str(event.flag)
    elif event.flag:
        notes["ipc_channel_error"] = "ShutDownKill"
    return msgspec.json.encode(notes)


def pool(rng: np.random.Generator) -> list[bytes]:
    """Ready `payload.stackTraces` objects to pick from."""
    return [_trace(rng) for _ in range(_POOL)]


def _trace(rng: np.random.Generator) -> bytes:
    bases = rng.integers(0x7FF0_0000, 0x7FFF_0000, len(_MODULES))
    modules = [
        {
            "base_addr": f"0x{base:x}0000",
            "end_addr": f"0x{base + 0x4000:x}0000",
            "code_id": f"{rng.integers(0, 2**32):08X}",
            "debug_file": name.rsplit(".", 1)[0] + ".pdb",
            "debug_id": f"{rng.integers(0, 2**63):016X}{rng.integers(0, 2**63):016X}1",
            "filename": name,
            "version": "103.0.0.8200",
        }
        for name, base in zip(_MODULES, bases, strict=True)
    ]
    frames = [
        {
            "ip": f"0x{bases[0]:x}{rng.integers(0, 65536):04x}",
            "module_index": int(rng.integers(0, 4)),
            "trust": "cfi",
        }
        for _ in range(int(rng.integers(8, 20)))
    ]
    crash = {"type": "EXCEPTION_ACCESS_VIOLATION_READ", "address": "0x0", "crashing_thread": 0}
    return msgspec.json.encode(
        {
            "status": "OK",
            "crash_info": crash,
            "main_module": 6,
            "modules": modules,
            "threads": [{"frames": frames}],
        }
    )
