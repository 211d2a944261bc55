"""Ids of rows and requests: version 7 of RFC 9562, made for many at a time."""

import os
from uuid import RFC_4122, UUID

from service import clock
from service.models.uuid7 import uuid7, uuid7_hex

MANY = 1000


def test_ids_are_of_version_7_and_of_now() -> None:
    before = clock.unix_ns() // 1_000_000
    ids = [uuid7() for _ in range(MANY)]
    after = clock.unix_ns() // 1_000_000
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, RFC_4122)}
    assert all(before <= id_.int >> 80 <= after for id_ in ids)


def test_all_other_bits_are_random() -> None:
    ids = [uuid7().int & (1 << 80) - 1 for _ in range(MANY)]
    assert len(set(ids)) == MANY
    fixed = [bit for bit in range(80) if len({id_ >> bit & 1 for id_ in ids}) == 1]
    assert fixed == [62, 63, 76, 77, 78, 79]  # the variant, and the version


def test_forked_process_makes_none_of_the_ids_of_its_parent() -> None:
    uuid7_hex()  # the ends of further ids are made by now
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "".join(uuid7_hex() for _ in range(64)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 64 * 32).decode()
    os.close(reader)
    os.close(writer)
    ends = {theirs[start + 12 : start + 32] for start in range(0, len(theirs), 32)}
    assert len(ends) == 64
    assert ends.isdisjoint(uuid7_hex()[12:] for _ in range(64))
    assert UUID(theirs[:32]).version == 7
