"""The built frontend: which hashed file stands for which source, read once from Vite's manifest.

Never builds anything. Without a build (a source tree before `python frontend/build.py`) the pages still
work, as plain HTML, and say what is missing.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from missioncontrol.errors import ConfigError

STATIC = Path(__file__).parent / "static"
ENTRY = "src/main.ts"
SQL_ENTRY = "src/sql/page.ts"
"""Of the SQL page alone."""


class _Chunk(msgspec.Struct, frozen=True):
    file: str
    css: list[str] = []


class Assets(msgspec.Struct, frozen=True):
    """Addresses of the scripts and style sheets of every page, and of those that only the SQL page has."""

    scripts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    sql_scripts: tuple[str, ...] = ()
    sql_styles: tuple[str, ...] = ()

    @property
    def built(self) -> bool:
        """Whether there is a frontend at all."""
        return bool(self.scripts)


def load_assets(folder: Path = STATIC) -> Assets:
    """Read the manifest in `folder`; raises `ConfigError` when it is broken."""
    manifest = folder / "manifest.json"
    try:
        chunks = msgspec.json.decode(manifest.read_bytes(), type=dict[str, _Chunk])
    except FileNotFoundError:
        return Assets()
    except msgspec.MsgspecError as error:
        raise ConfigError(
            "frontend_broken", f"{manifest.name} of the frontend cannot be read: {error}", "Build it again."
        ) from None
    entry, sql = chunks[ENTRY], chunks[SQL_ENTRY]
    return Assets(*_addresses(entry), *_addresses(sql))


def _addresses(chunk: _Chunk) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of its script and of its style sheets."""
    return (f"/static/{chunk.file}",), tuple(f"/static/{css}" for css in chunk.css)
