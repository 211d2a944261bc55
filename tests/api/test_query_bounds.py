"""Bounds of query parameters: the most is accepted, and one more is refused with the reason."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

from tests.api.test_items import problem

ARTICLES = "/api/v1/articles"
SORTS = ("price", "name", "created_at", "-price")
MOST: dict[str, tuple[int, Callable[[int], str], str]] = {
    "characters of a search": (200, lambda size: f"q={'x' * size}", "at most 200 characters"),
    "fields to sort by": (3, lambda size: f"sort={','.join(SORTS[:size])}", "at most 3 fields"),
    "values of a list": (
        100,
        lambda size: f"id__in={','.join(str(uuid4()) for _ in range(size))}",
        "at most 100 values",
    ),
    "parameters": (300, lambda size: "&".join(["sort=name", *[""] * (size - 1)]), "too many parameters"),
}


@pytest.mark.parametrize("what", MOST)
async def test_most_is_accepted_and_one_more_is_refused(client: AsyncClient, what: str) -> None:
    most, of_size, reason = MOST[what]
    accepted = await client.get(f"{ARTICLES}?{of_size(most)}")
    assert accepted.status_code == 200, accepted.text
    refused = await client.get(f"{ARTICLES}?{of_size(most + 1)}")
    problem(refused, 400, "invalid_parameter")
    assert reason in refused.text


async def test_names_are_reported_up_to_a_hundred_parameters(client: AsyncClient) -> None:
    """More are refused without a look at their names, each of which would be an error of its own."""

    def query(size: int) -> str:
        return "&".join(f"p{number}=1" for number in range(size))

    body = problem(await client.get(f"{ARTICLES}?{query(100)}"), 400, "invalid_parameter")
    assert "errors" in body
    body = problem(await client.get(f"{ARTICLES}?{query(101)}"), 400, "invalid_parameter")
    assert body["detail"] == "The query has too many parameters."
    assert "errors" not in body
