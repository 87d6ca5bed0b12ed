"""An entry as a message of Kafka and back, and the numbers of places."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missioncontrol.errors import BadRequest
from missioncontrol.log.kafka_messages import (
    MOST_PARTITIONS,
    claimant,
    from_message,
    partition_and_offset,
    place,
    timestamp_ms,
    to_message,
)
from missioncontrol.log.protocol import Entry, Kind

ID = "C8B1C0A4-7A50-4B1C-9A3E-6A1F7E1C0001"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(Kind),
    received_ns=st.integers(-(1 << 62), 1 << 62),
    document_id=TEXT,
    channel=TEXT,
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    body=st.binary(max_size=50),
    detail=TEXT,
    count=st.integers(0, 1 << 40),
)


@given(entry=ENTRIES)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    message = to_message(entry)
    assert from_message(message.key, message.value, message.headers) == entry


def test_the_key_is_the_id_in_lower_case_and_the_body_is_the_value() -> None:
    message = to_message(Entry(Kind.PING, 1, document_id=ID, body=b"\x1f\x8b"))
    assert (message.key, message.value) == (ID.lower().encode(), b"\x1f\x8b")
    assert to_message(Entry(Kind.PING, 1)).key is None


def test_an_empty_value_may_come_back_as_none() -> None:
    entry = Entry(Kind.REFUSED, 5, detail="edge_too_large", count=3)
    assert from_message(None, None, to_message(entry).headers) == entry


def test_what_no_entry_can_be_is_refused() -> None:
    with pytest.raises(BadRequest):
        to_message(Entry(Kind.PING, 1, document_id="\udc80"))
    meta = dict(to_message(Entry(Kind.PING, 1)).headers)["meta"]
    for headers in ([], [("kind", b"1")], [("kind", b"9"), ("meta", meta)], [("kind", b"x"), ("meta", meta)]):
        with pytest.raises(ValueError):
            from_message(None, b"", headers)
    with pytest.raises(msgspec.DecodeError):
        from_message(None, b"", [("kind", b"1"), ("meta", b"{}")])


@given(partition=st.integers(0, MOST_PARTITIONS - 1), offset=st.integers(0, (1 << 48) - 2))
def test_a_place_is_a_number_of_63_bits_and_back(partition: int, offset: int) -> None:
    number = place(partition, offset)
    assert 0 < number < 1 << 63 and partition_and_offset(number) == (partition, offset)
    assert claimant(number) < 0


def test_places_grow_with_the_offset_and_end_where_they_would_meet() -> None:
    assert (place(0, 0), place(0, 1), place(1, 0)) == (1, 2, (1 << 48) + 1)
    assert partition_and_offset(1 << 48) == (1, -1)
    for partition, offset in ((-1, 0), (MOST_PARTITIONS, 0), (0, -1), (0, (1 << 48) - 1)):
        with pytest.raises(ValueError):
            place(partition, offset)


def test_every_clock_has_a_timestamp_that_a_message_can_carry() -> None:
    assert timestamp_ms(1_763_800_000_123_456_789) == 1_763_800_000_123
    assert [timestamp_ms(now) for now in (0, -(10**18), 10**27)] == [1, 1, 10**15]
