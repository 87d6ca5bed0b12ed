"""What is unpacked can be given back byte for byte, and whatever cannot is left as it was sent."""

from __future__ import annotations

import gzip
import io
import json
import random
import resource
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib

from missioncontrol.errors import StorageError
from missioncontrol.lake.packing import Packer, as_sent
from missioncontrol.telemetry.inflate import content, inflate

LIMIT = 1 << 20
PING = json.dumps({f"HISTOGRAM_{n}": [n % 7, n % 11, {"sum": n * n}] for n in range(2000)}).encode()


def deflated(data: bytes, level: int, window: int = 31, memory: int = 8, piece: int = 0) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, window, memory)
    if not piece:
        return stream.compress(data) + stream.flush()
    return b"".join(stream.compress(data[i : i + piece]) for i in range(0, len(data), piece)) + stream.flush()


def unpacked(body: bytes, encoding: str = "gzip"):
    return Packer(LIMIT).unpacked(body, encoding)


def check(body: bytes, encoding: str = "gzip") -> str:
    """Fails unless the body is unpacked to what it holds, and comes back from it; the packing."""
    found = unpacked(body, encoding)
    assert found is not None
    assert found.content == inflate(body, encoding, LIMIT)
    assert found.sent_bytes == len(body)
    assert as_sent(found.content, found.packing, found.sent_crc32) == body
    return found.packing


@pytest.mark.parametrize("level", range(1, 10))
@pytest.mark.parametrize("memory", [8, 9])
def test_gzip_of_every_level_of_zlib(level, memory):
    check(deflated(PING, level, memory=memory))


def test_what_python_clients_send():
    check(gzip.compress(PING))
    check(zlib.compress(PING, wbits=31))
    file = io.BytesIO()
    with gzip.GzipFile("a-name.json", "wb", 6, file, mtime=1234567890) as packed:
        packed.write(PING)
    assert b"a-name.json" in file.getvalue()[:30]
    check(file.getvalue())


def test_bodies_that_a_client_fed_to_the_compressor_piece_by_piece():
    check(deflated(PING, 6, piece=100))
    check(deflated(PING * 8, 6, piece=8192))


def test_zlib_streams_under_deflate():
    check(zlib.compress(PING, 6), "deflate")
    check(zlib.compress(PING, 9), "deflate")


def test_gzip_that_no_header_declares():
    check(deflated(PING, 6), "")


def test_glean_s_own_compressor():
    cramjam = pytest.importorskip("cramjam")
    stream = bytes(cramjam.deflate.compress(PING, level=6))
    header = bytes.fromhex("1f8b08000000000000ff")
    body = header + stream + zlib.crc32(PING).to_bytes(4, "little") + len(PING).to_bytes(4, "little")
    assert body != deflated(PING, 6)
    assert check(body).startswith("gzip miniz:6 ")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(min_size=1, max_size=3000), st.text(min_size=1, max_size=3000).map(str.encode)),
    st.integers(1, 9),
    st.sampled_from(["gzip", "deflate"]),
)
def test_any_content_comes_back_or_stays(data, level, encoding):
    body = deflated(data, level, 31 if encoding == "gzip" else 15)
    found = unpacked(body, encoding)
    if data[:2] == b"\x1f\x8b":
        assert found is None
    else:
        assert found is not None
        assert (found.content, as_sent(found.content, found.packing, found.sent_crc32)) == (data, body)
        assert content(found.content, encoding, found.packing, LIMIT) == inflate(body, encoding, LIMIT)


BODY = deflated(PING, 6)
LEFT = {
    "isal": isal_zlib.compress(PING, 1, wbits=31),
    "two members": BODY + BODY,
    "trailing bytes": BODY + b"\0",
    "cut off": BODY[:-20],
    "without trailer": BODY[:-8],
    "half a trailer": BODY[:-4],
    "wrong checksum": BODY[:-8] + b"\0\0\0\0" + BODY[-4:],
    "wrong length": BODY[:-1] + b"\1",
    "a flipped bit": BODY[:500] + bytes([BODY[500] ^ 4]) + BODY[501:],
    "reserved flags": BODY[:3] + b"\x80" + BODY[4:],
    "another method": BODY[:2] + b"\7" + BODY[3:],
    "a long name": BODY[:3] + b"\x08" + BODY[4:10] + b"n" * 100 + b"\0" + BODY[10:],
    "a name without end": BODY[:3] + b"\x08" + BODY[4:10] + b"n" * 20,
    "an endless extra field": BODY[:3] + b"\x04" + BODY[4:10] + b"\xff\xff" + BODY[10:],
    "nothing inside": deflated(b"", 6),
    "gzip twice": deflated(BODY, 6),
    "a bomb": deflated(b"a" * (LIMIT + 1), 6),
    "plain": PING,
    "empty": b"",
    "only the magic": b"\x1f\x8b",
    "a header only": BODY[:10],
}


@pytest.mark.parametrize("name", LEFT)
def test_what_stays_as_it_was_sent(name):
    assert unpacked(LEFT[name]) is None
    assert as_sent(LEFT[name], None, None) == LEFT[name]


def test_other_encodings_stay():
    assert unpacked(zlib.compress(PING), "") is None
    assert unpacked(zlib.compress(PING), "br") is None
    assert unpacked(PING, "deflate") is None


def test_cut_anywhere_it_stays_and_never_fails():
    random.seed(1)
    for _ in range(300):
        at = random.randrange(len(BODY))
        assert unpacked(BODY[:at]) is None
        spoiled = bytearray(BODY)
        spoiled[at] ^= 1 << random.randrange(8)
        found = unpacked(bytes(spoiled))
        assert found is None or as_sent(found.content, found.packing, found.sent_crc32) == bytes(spoiled)


def test_a_bomb_is_not_inflated_beyond_the_limit():
    bomb = deflated(b"\0" * (400 << 20), 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Packer(LIMIT).unpacked(bomb, "gzip") is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


def test_a_machine_whose_compressor_differs_says_so_instead_of_giving_other_bytes():
    found = unpacked(BODY)
    with pytest.raises(StorageError) as refused:
        as_sent(found.content, found.packing.replace(":6:", ":1:"), found.sent_crc32)
    assert refused.value.code == "archive_not_reproduced"
    with pytest.raises(StorageError):
        as_sent(found.content, "gzip unheard:1 1f8b08000000000000ff", found.sent_crc32)


def test_once_a_compressor_is_known_it_is_tried_first_and_unknown_ones_cost_less(monkeypatch):
    from missioncontrol.lake import packing

    tried = []
    makes = packing._makes
    monkeypatch.setattr(packing, "_makes", lambda *a: tried.append(a[0]) or makes(*a))
    packer = Packer(LIMIT)
    for _ in range(5):
        packer.unpacked(deflated(PING, 4), "gzip")
    assert tried[-4:] == ["zlib:4:8"] * 4
    tried.clear()
    for _ in range(200):
        packer.unpacked(isal_zlib.compress(PING, 1, wbits=31), "gzip")
    assert len(tried) < 200 * 8


def test_parts_of_arrow_s_memory_are_taken_as_they_are():
    import pyarrow as pa

    body = memoryview(pa.array([BODY], pa.binary())[0].as_buffer())
    found = Packer(LIMIT).unpacked(body, "gzip")
    assert found is not None and found.content == PING
