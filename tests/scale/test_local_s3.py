"""The S3 server that `make scale-up` starts has what Delta tables and blobs rest on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deploy.local.s3 import S3Server
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, PreconditionError
from obstore.store import S3Store
from tests.support.loops import run

pytestmark = pytest.mark.apt

WRITERS = 8


def bucket(s3: S3Server, prefix: str = "") -> S3Store:
    return S3Store("tests", prefix=prefix or None, config=s3.client_settings())


def test_of_many_who_create_an_object_at_once_exactly_one_succeeds(s3: S3Server) -> None:
    stores = [bucket(s3, "created") for _ in range(WRITERS)]

    def create(writer: int, key: str) -> bool:
        try:
            stores[writer].put(key, b"%d" % writer * 1000, mode="create")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(60):
            key = f"{number:020d}.json"
            won = list(pool.map(create, range(WRITERS), [key] * WRITERS))
            assert won.count(True) == 1
            assert bytes(stores[0].get(key).bytes()) == b"%d" % won.index(True) * 1000


def test_no_change_is_lost_that_names_what_it_changes(s3: S3Server) -> None:
    store = bucket(s3)
    store.put("counter", b"0")

    def count(_: int) -> None:
        done = 0
        while done < 10:
            found = store.get("counter")
            try:
                store.put(
                    "counter", b"%d" % (int(bytes(found.bytes())) + 1), mode={"e_tag": found.meta["e_tag"]}
                )
                done += 1
            except PreconditionError:
                pass

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(count, range(WRITERS)))
    assert bytes(store.get("counter").bytes()) == b"80"


def test_an_object_in_parts_a_range_of_it_and_a_list_of_more_than_one_page(s3: S3Server) -> None:
    store = bucket(s3, "many")
    body = os.urandom(12 * 1024 * 1024)
    store.put("parts", body, use_multipart=True, chunk_size=5 * 1024 * 1024)
    assert bytes(store.get("parts").bytes()) == body
    assert bytes(store.get_range("parts", start=5_000_000, length=500_000)) == body[5_000_000:5_500_000]

    async def put_all(keys: list[str]) -> None:
        turns = asyncio.Semaphore(16)

        async def put(key: str) -> None:
            async with turns:
                await store.put_async(key, b"x")

        await asyncio.gather(*map(put, keys))

    keys = [f"page/{number:04d}" for number in range(1100)]
    run(put_all(keys))
    assert [o["path"] for page in store.list("page/") for o in page] == keys
    assert [o["path"] for page in store.list("page/", offset="page/0998") for o in page] == keys[999:]
    obstore.delete(store, keys)
    assert [o["path"] for page in store.list() for o in page] == ["parts"]


def test_what_was_put_survives_kill_9(s3: S3Server) -> None:
    store = bucket(s3, "kept")
    bodies = {f"{number}": os.urandom(10_000) for number in range(50)}
    for key, body in bodies.items():
        store.put(key, body)
    s3.kill()
    s3.start()
    assert {key: bytes(store.get(key).bytes()) for key in bodies} == bodies


def test_a_stranger_is_refused(s3: S3Server) -> None:
    stranger = S3Store("tests", config={**s3.client_settings(), "aws_secret_access_key": "guessed"})
    with pytest.raises(PermissionDeniedError):
        stranger.put("mine", b"1")


def test_two_processes_commit_to_one_delta_table_and_all_commits_are_kept(s3: S3Server) -> None:
    table, options = "s3://tests/lake/counts", s3.client_settings()
    write_deltalake(table, pa.table({"writer": [0], "number": [0]}), storage_options=options)
    command = [sys.executable, str(Path(__file__).with_name("delta_writer.py")), table, json.dumps(options)]
    writers = [subprocess.Popen([*command, str(first), "15"]) for first in (100, 200)]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    read = DeltaTable(table, storage_options=options)
    assert read.version() == 30
    numbers = read.to_pyarrow_table().column("number").to_pylist()
    assert sorted(numbers) == [0, *range(100, 115), *range(200, 215)]
