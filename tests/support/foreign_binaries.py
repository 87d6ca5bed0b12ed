"""Real binaries of other systems, made here by Clang and LLD, and what LLVM's own tools say of them.

Needs the Debian packages clang-16, lld-16 and llvm-16: older ones write frames of Mach-O files wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("gadget.c")
FUNCTIONS = ("poke_gadget", "update_gadget", "gadget_entry")
_TOOLS = Path("/usr/lib/llvm-16/bin")
_FLAGS = ("-g", "-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-c", str(SOURCE))


class Windows(NamedTuple):
    """A program and its PDB, whose names differ in more than their ends."""

    exe: Path
    pdb: Path


class MacOS(NamedTuple):
    """A library for two kinds of processor, and its dSYM bundle."""

    library: Path
    bundle: Path


def make_windows(folder: Path, build: int) -> Windows:
    """A PE file and its PDB in a folder; other `build`s have other ids."""
    made = Windows(folder / "gadget.exe", folder / "gadget-debug.pdb")
    folder.mkdir(parents=True, exist_ok=True)
    linked = folder / "gadget.obj"
    _run("clang", "--target=x86_64-pc-windows-msvc", "-gcodeview", f"-DBUILD={build}", *_FLAGS, "-o", linked)
    options = ("/nodefaultlib", "/entry:gadget_entry", "/subsystem:console", "/debug")
    _run("lld-link", *options, f"/pdb:{made.pdb}", f"/out:{made.exe}", linked)
    linked.unlink()
    return made


def make_macos(folder: Path, scratch: Path, build: int) -> MacOS:
    """A universal Mach-O file and its bundle in a folder, by way of files in another one, which must be new."""
    made = MacOS(folder / "libgadget.dylib", folder / "libgadget.dylib.dSYM")
    folder.mkdir(parents=True, exist_ok=True)
    thin = []
    for arch in ("x86_64", "arm64"):
        (scratch / arch).mkdir(parents=True)
        linked, library = scratch / arch / "gadget.o", scratch / arch / made.library.name
        _run("clang", f"--target={arch}-apple-macos11", f"-DBUILD={build}", *_FLAGS, "-o", linked)
        _run("ld64.lld", "-arch", arch, "-platform_version", "macos", "11.0", "11.0", "-dylib",
             "-o", library, linked)  # fmt: skip
        thin.append(library)
    _run("llvm-lipo", "-create", *thin, "-output", made.library)
    # dsymutil calls it by its name on a Mac.
    (scratch / "lipo").symlink_to(_TOOLS / "llvm-lipo")
    _run("dsymutil", made.library, "-o", made.bundle, path=scratch)
    return made


def extract(library: Path, arch: str, target: Path) -> Path:
    """One architecture of a Mach-O file with several."""
    _run("llvm-lipo", library, "-thin", arch, "-output", target)
    return target


def pdb_debug_id(pdb: Path) -> str:
    """The id as llvm-pdbutil says: a GUID and an age."""
    said = _run("llvm-pdbutil", "dump", "--summary", pdb)
    guid, age = re.search(r"GUID: \{(.+)\}", said), re.search(r"Age: (\d+)", said)
    assert guid and age, said
    return guid[1].replace("-", "") + f"{int(age[1]):x}"


def pe_code_id(exe: Path) -> str:
    """The time stamp and the size of the image, as llvm-readobj says."""
    said = _run("llvm-readobj", "--file-headers", exe)
    stamp, size = re.search(r"TimeDateStamp: .*\(0x(\w+)\)", said), re.search(r"SizeOfImage: (\d+)", said)
    assert stamp and size, said
    return f"{stamp[1].upper()}{int(size[1]):X}"


def macho_debug_ids(path: Path) -> dict[str, str]:
    """The id for each architecture, as llvm-dwarfdump says."""
    found = re.findall(r"UUID: ([0-9A-F-]+) \((\w+)\)", _run("llvm-dwarfdump", "--uuid", path))
    return {arch: uuid.replace("-", "") + "0" for uuid, arch in found}


def macho_addresses(library: Path, arch: str) -> dict[str, int]:
    """Where each function begins in a Mach-O file, as llvm-nm says."""
    found = re.findall(r"(?m)^([0-9a-f]+) T _(\w+)$", _run("llvm-nm", f"--arch={arch}", library))
    return {name: int(address, 16) for address, name in found}


def pdb_addresses(pdb: Path, exe: Path) -> dict[str, int]:
    """Where each function begins in a PE file, as llvm-pdbutil says of its code and llvm-readobj of its sections."""
    said = _run("llvm-readobj", "--sections", exe)
    code = re.search(r"Name: \.text .*\n\s+VirtualSize: .*\n\s+VirtualAddress: 0x(\w+)", said)
    assert code, said
    publics = _run("llvm-pdbutil", "dump", "--publics", pdb)
    found = re.findall(r"S_PUB32 .*`(\w+)`\n.*addr = 0001:(\d+)", publics)
    return {name: int(code[1], 16) + int(offset) for name, offset in found}


def first_lines() -> dict[str, int]:
    """The line of the source in which each function begins."""
    lines = SOURCE.read_text().splitlines()
    return {name: next(n for n, line in enumerate(lines, 1) if f"int {name}(" in line) for name in FUNCTIONS}


def _run(tool: str, *arguments: str | Path, path: Path | None = None) -> str:
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"} if path else None
    command = [_TOOLS / tool, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout
