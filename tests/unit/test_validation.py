"""How many errors of a body are listed."""

import pytest
from pydantic import TypeAdapter, ValidationError

from service.http.content.validation import MOST_DESCRIBED, field_errors, many_unknown
from service.http.problems import MOST_ERRORS


@pytest.mark.parametrize(("wrong", "listed"), [(MOST_DESCRIBED, MOST_DESCRIBED), (MOST_DESCRIBED + 1, 1)])
def test_errors_are_described_up_to_a_number(wrong: int, listed: int) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(list[int]).validate_python(["x"] * wrong)
    assert len(field_errors(raised.value)) == listed


@pytest.mark.parametrize(("unknown", "listed"), [(MOST_ERRORS, 0), (MOST_ERRORS + 1, MOST_ERRORS)])
def test_unknown_members_are_returned_if_not_all_can_be_listed(unknown: int, listed: int) -> None:
    document = {"known": 1, **{str(number): 1 for number in range(unknown)}}
    assert len(many_unknown(document, known={"known"})) == listed
