"""Whether the place of a lake on S3 will do: objects can be written, read, listed and deleted, and of two puts of what
must not exist yet the second fails. Without that two writers would lose each other's commits.
"""

from __future__ import annotations

import uuid

from missioncontrol.config import LakePlace
from missioncontrol.errors import StorageError
from missioncontrol.lake.place import failure
from missioncontrol.s3 import store


def check(place: LakePlace) -> None:
    """Try it with an object of its own. Raises `StorageError` (`lake_puts_unsafe` and those of `place.failure()`)."""
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    objects, key = store(place.url), f"_check/{uuid.uuid4().hex}"
    try:
        obstore.put(objects, key, b"first", mode="create")
        try:
            obstore.put(objects, key, b"second", mode="create")
            twice = True
        except (AlreadyExistsError, PreconditionError):
            twice = False
        kept = bytes(obstore.get(objects, key).bytes())
        listed = [found["path"] for page in obstore.list(objects, "_check") for found in page]
        obstore.delete(objects, key)
    except Exception as error:
        raise failure(place, error) from error
    if twice or kept != b"first" or key not in listed:
        raise StorageError(
            "lake_puts_unsafe",
            f"The server of {place} lets an object be made that exists (If-None-Match: * is not kept).",
            "Writers would lose each other's commits there. Take a server, or a version of it, that keeps it.",
        )
