"""What one ping says, once: the fact from which every table takes its rows."""

from __future__ import annotations

import msgspec

Number = int | float

_GRID = 2.0**40


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One counted ping.

    `key`: values of `Registry.keys`, in their order. `values`: (index into Registry.measures, value) for each
    measure that the ping has. `activity_start_s`: seconds since the epoch at which its usage began, or None.
    """

    document: str
    application: str
    key: tuple[str | None, ...]
    values: tuple[tuple[int, Number], ...]
    experiments: tuple[tuple[str, str | None], ...] = ()
    usage_hours: float | None = None
    has_activity: bool = False
    activity_start_s: float | None = None
    notes: tuple[str, ...] = ()
    client: str | None = None
    session: str | None = None


def grid(value: float) -> float:
    """The nearest multiple of 2^-40.

    Sums of such numbers are exact in binary64 up to 8,192, so partial sums add up to the same bits in whatever order
    and however the pings were cut into batches. The rounding (4.5e-13) is far below a microsecond of usage.
    """
    return round(value * _GRID) / _GRID if abs(value) < 8192 else value
