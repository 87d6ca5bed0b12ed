"""A minidump of the made-up program: one thread, its stack, its modules and why it died.

The format is Microsoft's (MINIDUMP_HEADER and the streams of the same header); contexts are those of x86-64.
"""

from __future__ import annotations

import struct

from missioncontrol.simulate.crash_program import FRAME_BYTES, LIBRARY_BASE, Module, address, modules

_HEADER = struct.Struct("<4sIIIIIQ")
_VERSION = 0xA793
_THREADS, _MODULES, _EXCEPTION, _SYSTEM = 3, 4, 6, 7
_AMD64 = 9
_STACK = 0x7FFC_0000
_CONTEXT_BYTES, _CONTEXT_FLAGS = 1232, 0x10001F
_FLAGS_AT, _RSP_AT, _RIP_AT = 48, 152, 248
_THREAD_ID = 4512
_WHERE = 0x123
"""Of a function, where it dies or calls."""
# platform, (code, flags) of an access to no memory, (major, minor, build) of the system.
_SYSTEMS = {
    "Windows_NT": (2, (0xC0000005, 0), (10, 0, 19045)),
    "Darwin": (0x8101, (1, 1), (14, 6, 0)),
    "Linux": (0x8201, (11, 1), (6, 1, 0)),
}


class _File:
    """A file that is appended to; what was appended is known by its offset."""

    def __init__(self, reserved_bytes: int) -> None:
        self.data = bytearray(reserved_bytes)

    def add(self, piece: bytes) -> int:
        at = len(self.data)
        self.data += piece + bytes(-len(piece) % 8)
        return at

    def text(self, text: str) -> int:
        encoded = text.encode("utf-16-le")
        return self.add(struct.pack("<I", len(encoded)) + encoded + b"\0\0")


def minidump(
    build_id: str, os_name: str, functions: tuple[str, ...], bad_address: int, crash_s: int
) -> bytes:
    """The dump of a crash in `functions` (innermost first) at `crash_s`, reading at `bad_address`."""
    file = _File(_HEADER.size + 4 * 12)
    dies_at = LIBRARY_BASE + address(functions[0]) + _WHERE
    stack = _stack(functions)
    stack_at, context_at = file.add(stack), file.add(_context(dies_at))
    context = struct.pack("<II", _CONTEXT_BYTES, context_at)
    thread = struct.pack("<IIIIQ", _THREAD_ID, 0, 0, 0, 0) + struct.pack("<QII", _STACK, len(stack), stack_at)
    threads = struct.pack("<I", 1) + thread + context
    platform, (code, flags), version = _SYSTEMS[os_name]
    parameters = [0, bad_address, *([0] * 13)]
    exception = (
        struct.pack("<II", _THREAD_ID, 0)
        + struct.pack(
            "<IIQQII15Q", code, flags, 0, dies_at if platform == 2 else bad_address, 2, 0, *parameters
        )
        + context
    )
    system = struct.pack("<HHHBBIIIIIHH24x", _AMD64, 6, 0x9E0A, 8, 1, *version, platform, file.text(""), 0, 0)
    listed = b"".join(_module(file, module) for module in modules(build_id, os_name))
    streams = {
        _SYSTEM: system,
        _MODULES: struct.pack("<I", 2) + listed,
        _THREADS: threads,
        _EXCEPTION: exception,
    }
    directory = b"".join(
        struct.pack("<III", kind, len(stream), file.add(stream)) for kind, stream in streams.items()
    )
    head = _HEADER.pack(b"MDMP", _VERSION, len(streams), _HEADER.size, 0, crash_s & 0xFFFFFFFF, 0)
    file.data[: len(head) + len(directory)] = head + directory
    return bytes(file.data)


def _stack(functions: tuple[str, ...]) -> bytes:
    """The frames as the symbols describe them: where each returns to is the last word of its room."""
    returns = [LIBRARY_BASE + address(name) + _WHERE for name in functions[1:]] + [0]
    return b"".join(bytes(FRAME_BYTES - 8) + struct.pack("<Q", where) for where in returns)


def _context(rip: int) -> bytes:
    context = bytearray(_CONTEXT_BYTES)
    struct.pack_into("<I", context, _FLAGS_AT, _CONTEXT_FLAGS)
    struct.pack_into("<Q", context, _RSP_AT, _STACK)
    struct.pack_into("<Q", context, _RIP_AT, rip)
    return bytes(context)


def _module(file: _File, module: Module) -> bytes:
    debug = b"RSDS" + module.guid.bytes_le + struct.pack("<I", 1) + module.debug_file.encode() + b"\0"
    return struct.pack(
        "<QIIII52xIIII16x",
        *(module.base, module.size, 0, 0x65000000, file.text(module.file)),
        *(len(debug), file.add(debug), 0, 0),
    )
