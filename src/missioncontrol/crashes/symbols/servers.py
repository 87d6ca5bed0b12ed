"""Symbols of other servers: fetched when a walk misses them, once, within bounds, into a folder of the cache.

    a module without symbols -> GET <base>/<debug file>/<debug id>/<name>.sym (.sym.gz) -> cache/symbols/...

Never asks twice for what no server had until some time has passed, never keeps what is not the build that was asked
for, and never makes a crash wait longer than its share. Whoever runs those servers learns which modules crashed here.
"""

from __future__ import annotations

import gzip
import threading
import time
import uuid
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote, urlsplit

import httpx2
import structlog

from missioncontrol.config import Crashes
from missioncontrol.crashes.symbols.names import SymbolName, symbol_name
from missioncontrol.crashes.symbols.store import same_build
from missioncontrol.crashes.symbols.sym_file import SymReader
from missioncontrol.errors import BadRequest, ConfigError

CRASH_BUDGET_S = 60.0
"""The longest that all fetching for one crash may take: its lease goes on meanwhile."""
_MOST_REMEMBERED = 100_000
_MOST_REDIRECTS = 3
_TRIM_TO = 0.9
logger = structlog.get_logger()


class SymbolServers:
    """The servers of the settings. Thread-safe; blocks."""

    def __init__(
        self,
        bases: Sequence[str],
        folder: Path,
        most_bytes: int,
        timeout_s: float,
        cache_bytes: int,
        missing_s: float,
    ) -> None:
        """`folder` is filled in Breakpad's layout; raises `ConfigError` (`symbol_servers_invalid`)."""
        self._bases = [_checked(base) for base in bases]
        self._folder, self._most_bytes, self._timeout_s = folder, most_bytes, timeout_s
        self._cache_bytes, self._missing_s = cache_bytes, missing_s
        self._missing: OrderedDict[SymbolName, float] = OrderedDict()
        self._lock = threading.Lock()
        self._ends = time.monotonic() + CRASH_BUDGET_S

    def begin(self) -> None:
        """A crash begins: it has its own share of time."""
        self._ends = time.monotonic() + CRASH_BUDGET_S

    def fetch(self, symbols: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Fetch what servers have of these (debug file, debug id); those that are in the folder now."""
        arrived = had(symbols, self._have)
        if arrived:
            trim(self._folder, self._cache_bytes)
        return arrived

    def _have(self, name: SymbolName) -> bool:
        target = self._folder / name.path
        if target.is_file():
            return True  # another worker was faster
        if self._known_missing(name) or time.monotonic() > self._ends:
            return False
        for base in self._bases:
            for ending in ("", ".gz"):
                if self._fetch_one(f"{base}/{quote(name.path)}{ending}", name, target):
                    return True
        self._remember(name)
        return False

    def _fetch_one(self, url: str, name: SymbolName, target: Path) -> bool:
        try:
            return self._store(url, name, target)
        except BadRequest as error:
            logger.warning("symbol_server_bad_file", url=url, code=error.code, message=error.message)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            logger.warning("symbol_server_failed", url=url, error=f"{type(error).__name__}: {error}"[:300])
        except OSError as error:
            logger.error("symbol_cache_failed", path=str(target), error=str(error))
        return False

    def _store(self, url: str, name: SymbolName, target: Path) -> bool:
        ends = min(time.monotonic() + self._timeout_s, self._ends)
        left_s = max(0.1, ends - time.monotonic())
        with (
            httpx2.Client(timeout=left_s, follow_redirects=True, max_redirects=_MOST_REDIRECTS) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != 200:
                return False
            pieces = cast(BinaryIO, _Pieces(answer.iter_bytes(), ends, self._most_bytes))
            file = cast(BinaryIO, _Inflated(pieces)) if url.endswith(".gz") else pieces
            reader = SymReader(file, self._most_bytes)
            if not same_build(reader.head.name, name):
                raise BadRequest("symbols_lying", f"It is of {reader.head.name.debug_id}.")
            _write(reader, target)
        logger.info("symbols_fetched", url=url, size_bytes=target.stat().st_size)
        return True

    def _known_missing(self, name: SymbolName) -> bool:
        with self._lock:
            since = self._missing.get(name)
            return since is not None and time.monotonic() - since < self._missing_s

    def _remember(self, name: SymbolName) -> None:
        with self._lock:
            self._missing[name] = time.monotonic()
            self._missing.move_to_end(name)
            while len(self._missing) > _MOST_REMEMBERED:
                self._missing.popitem(last=False)


def had(symbols: Sequence[tuple[str, str]], have: Callable[[SymbolName], bool]) -> list[tuple[str, str]]:
    """Those of (debug file, debug id) that are names of symbols, and that `have` says are there now."""
    found = []
    for debug_file, debug_id in symbols:
        try:
            name = symbol_name(debug_file, debug_id)
        except BadRequest:
            continue
        if have(name):
            found.append((debug_file, debug_id))
    return found


def trim(folder: Path, most_bytes: int) -> None:
    """Delete what came longest ago of a folder of symbols when all together takes more than `most_bytes`."""
    found = []
    for path in folder.rglob("*.sym"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= most_bytes:
        return
    for _, size, path in sorted(found):
        with suppress(OSError):
            path.unlink()
            total -= size
        if total <= most_bytes * _TRIM_TO:
            return


def make_servers(settings: Crashes, folder: Path) -> SymbolServers | None:
    """The servers of the settings; None when there are none. Raises `ConfigError`."""
    if not settings.symbol_servers:
        return None
    return SymbolServers(
        settings.symbol_servers, folder, settings.symbol_max_bytes, settings.symbol_server_timeout_s,
        settings.symbol_cache_bytes, settings.symbol_missing_s,
    )  # fmt: skip


def _write(reader: SymReader, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{uuid.uuid4().hex}"
    try:
        with draft.open("xb") as file:
            for piece in reader:
                file.write(piece)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


class _Pieces:
    """The body of an answer as a stream; stops at a moment, and after a number of bytes."""

    def __init__(self, pieces: Iterator[bytes], ends: float, most_bytes: int) -> None:
        self._pieces, self._ends, self._left = pieces, ends, most_bytes
        self._kept = b""

    def read(self, size: int = -1) -> bytes:
        piece = self._kept or next(self._pieces, b"")
        self._left -= 0 if self._kept else len(piece)
        if self._left < 0:
            raise BadRequest("symbols_too_large", "It is larger than crashes.symbol_max_bytes.")
        if time.monotonic() > self._ends:
            raise TimeoutError("it takes too long")
        cut = len(piece) if size < 0 else size
        self._kept = piece[cut:]
        return piece[:cut]


class _Inflated:
    """A gzipped body."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=file, mode="rb")

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BadRequest("symbols_cut", f"It cannot be unpacked: {error}.") from None


def _checked(base: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "symbol_servers_invalid",
            f"crashes.symbol_servers: {base[:200]!r} is no address of a server.",
            "As in https://symbols.example.com/",
        )
    return base.rstrip("/")
