"""The memory of request bodies is bounded to the byte, and each body gives back what it took."""

from typing import Any

import pytest

from service.http.middleware.admission import turned_away
from service.http.middleware.body_budget import SPARED, BodyBudget, forget
from service.http.problems import Overloaded

MOST = 1000


def refusals() -> float:
    return float(turned_away.labels("bodies")._value.get())


def test_body_may_take_all_that_is_left_and_not_a_byte_more() -> None:
    bodies, before = BodyBudget(MOST), refusals()
    one: dict[str, Any] = {}
    bodies.grow(one, SPARED)  # free
    bodies.grow(one, MOST)
    assert refusals() == before
    with pytest.raises(Overloaded):
        bodies.grow(one, 1)
    assert refusals() == before + 1
    bodies.grow({}, SPARED)  # a small body never lacks room


def test_room_is_given_back_once() -> None:
    bodies = BodyBudget(MOST)
    one: dict[str, Any] = {}
    for part in (SPARED - 1, 2, MOST - 1):
        bodies.grow(one, part)
    for _ in range(2):
        forget(one)
    other: dict[str, Any] = {}
    bodies.grow(other, SPARED + MOST)
    with pytest.raises(Overloaded):
        bodies.grow(other, 1)


def test_refused_part_takes_no_room() -> None:
    bodies = BodyBudget(MOST)
    one: dict[str, Any] = {}
    bodies.grow(one, SPARED + MOST - 10)
    with pytest.raises(Overloaded):
        bodies.grow(one, 11)
    bodies.grow(one, 10)
