"""Problem details: what is cut, how places are named, and what errors of PostgreSQL become."""

import asyncpg
import pytest

from service.http.problems import FieldError, ValidationFailed, pointer
from service.http.problems.sqlstate import problem_of

COLUMNS = {"ix_essay": ("essay",), "apart": ("big",)}


def test_errors_and_their_texts_are_cut() -> None:
    problem = ValidationFailed(errors=[FieldError("m" * 501, pointer="p" * 501)] * 101)
    errors = problem.as_json(instance="/", request_id="r")["errors"]
    assert errors == [{"pointer": "p" * 500, "message": "m" * 500}] * 100


def test_pointer_escapes_slashes_and_tildes() -> None:
    assert pointer(["a/b~c~1", 0]) == "/a~1b~0c~01/0"


@pytest.mark.parametrize(
    ("error", "code", "errors"),
    [
        (
            asyncpg.ProgramLimitExceededError(
                'index row size 5016 exceeds maximum 2704 for index "ix_essay"'
            ),
            "validation_failed",
            [FieldError("is too long", pointer="/essay")],
        ),
        (asyncpg.ProgramLimitExceededError('for index "of_nobody"'), "validation_failed", []),
        (
            asyncpg.ExclusionViolationError("conflicting key value"),
            "conflict",
            [FieldError("overlaps with another item", pointer="/big")],
        ),
    ],
)
def test_error_of_the_database_names_the_columns_of_its_index(
    error: asyncpg.PostgresError, code: str, errors: list[FieldError]
) -> None:
    error.constraint_name = "apart"  # as the driver sets it
    problem = problem_of(error, COLUMNS)
    assert problem is not None
    assert (problem.code, problem.errors) == (code, errors)
