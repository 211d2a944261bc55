"""Problems of changes that the client did not ask for itself: in words, under the same code."""

import asyncpg
import pytest

from service.http.problems import Conflict, FieldError, Problem, ValidationFailed
from service.resources.units.named_problems import naming
from tests.shop.resources import articles

WRONG = ("price", "attributes/size", "tags/0", "sku")


def _named(problem: Problem, operation: str = "update") -> Problem:
    with pytest.raises(Problem) as caught, naming(articles, operation):
        raise problem
    return caught.value


def test_up_to_three_reasons_become_words_and_all_else_stays() -> None:
    errors = [FieldError(f"is wrong ({number})", pointer=f"/{at}") for number, at in enumerate(WRONG)]
    given = ValidationFailed(errors=errors, headers={"X-Reason": "rules"}, context=b'{"rule":1}')
    named = _named(given)
    assert type(named) is ValidationFailed
    assert named.detail == (
        "An article cannot be changed: price is wrong (0); attributes.size is wrong (1); tags.0 is wrong (2)"
    )
    assert (named.errors, named.all_headers, named.context) == ((), given.all_headers, given.context)
    assert named.all_headers["X-Reason"] == "rules"


@pytest.mark.parametrize(
    ("operation", "done"), [("create", "created"), ("update", "changed"), ("delete", "deleted")]
)
def test_conflict_of_the_database_is_named(operation: str, done: str) -> None:
    problem = Conflict("Other items refer to this one.")
    problem.__cause__ = asyncpg.ForeignKeyViolationError("still referenced")
    detail = f"An article cannot be {done}: Other items refer to this one."
    assert _named(problem, operation).detail == detail


def test_problem_of_a_hook_stays_as_it_is() -> None:
    for problem in (Conflict("Too late."), ValidationFailed(errors=[FieldError("is wrong", parameter="q")])):
        assert _named(problem) is problem
