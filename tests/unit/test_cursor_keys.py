"""The keys that sign cursors, while they are rotated."""

import pytest

from service import clock
from service.http.problems import InvalidCursor
from service.resources.lists.cursor import KEY_SECONDS, Cursor, CursorCodec

CURSOR = Cursor(("oak", 3))


def _written(key: str) -> str:
    return CursorCodec(key).write(CURSOR, bound_to="chairs")


def test_keys_change_within_a_second_and_earlier_ones_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    now, keys = [0.0], ["first"]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    codec = CursorCodec("first", current=lambda: keys)
    earlier = codec.write(CURSOR, bound_to="chairs")
    keys[:] = ["second"]
    now[0] += KEY_SECONDS - 0.1
    assert codec.write(CURSOR, bound_to="chairs") == earlier, "the keys are read once a second"
    now[0] += 0.1
    assert codec.write(CURSOR, bound_to="chairs") == _written("second")
    assert codec.read(earlier, bound_to="chairs") == CURSOR, "clients can keep paging"
    for key in ("third", "fourth", "fifth"):
        keys[:] = [key]
        now[0] += KEY_SECONDS
        assert codec.write(CURSOR, bound_to="chairs") == _written(key)
    assert codec.read(_written("second"), bound_to="chairs") == CURSOR
    with pytest.raises(InvalidCursor):
        codec.read(earlier, bound_to="chairs")  # four keys are kept
