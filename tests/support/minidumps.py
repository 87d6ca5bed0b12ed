"""Minidumps that no crash ever wrote: small files, made by hand, that ask much of whoever walks them."""

from __future__ import annotations

import struct

_HEADER = struct.Struct("<4sIIIIIQ")
_VERSION = 0xA793
_THREAD_LIST, _MODULE_LIST, _SYSTEM_INFO = 3, 4, 7
_AMD64, _LINUX = 9, 0x8201
_BASE, _STACK = 0x400000, 0x7FFF00000000
_CONTEXT_BYTES = 1232


def header_only() -> bytes:
    """A minidump without a single stream."""
    return _HEADER.pack(b"MDMP", _VERSION, 0, _HEADER.size, 0, 0, 0)


def many_threads(threads: int, frames: int = 1000) -> bytes:
    """`threads` threads share one stack of `frames` frames: a file of some kB that unfolds to gigabytes."""
    stack = _endless_stack(frames)
    start = _HEADER.size + 3 * 12
    context_at = start + 56 + 4
    stack_at = context_at + _CONTEXT_BYTES
    threads_at = stack_at + len(stack)
    one = struct.pack("<QII", _STACK, len(stack), stack_at) + struct.pack("<II", _CONTEXT_BYTES, context_at)
    listed = struct.pack("<I", threads) + b"".join(
        struct.pack("<IIIIQ", number + 1, 0, 0, 0, 0) + one for number in range(threads)
    )
    directory = (
        struct.pack("<III", _SYSTEM_INFO, 56, start)
        + struct.pack("<III", _MODULE_LIST, 4, start + 56)
        + struct.pack("<III", _THREAD_LIST, len(listed), threads_at)
    )
    head = _HEADER.pack(b"MDMP", _VERSION, 3, _HEADER.size, 0, 0, 0)
    return head + directory + _system_info() + struct.pack("<I", 0) + _context() + stack + listed


def _system_info() -> bytes:
    return struct.pack("<HHHBBIIIIIHH24x", _AMD64, 6, 0, 1, 1, 5, 0, 0, _LINUX, 0, 0, 0)


def _context() -> bytes:
    context = bytearray(_CONTEXT_BYTES)
    struct.pack_into("<I", context, 48, 0x10001F)
    struct.pack_into("<QQ", context, 152, _STACK, _STACK)
    struct.pack_into("<Q", context, 248, _BASE + 0x10)
    return bytes(context)


def _endless_stack(frames: int) -> bytes:
    """Frame pointers, each pointing to the next one."""
    return b"".join(struct.pack("<QQ", _STACK + 16 * (n + 1), _BASE + 0x100 + n) for n in range(frames))
