"""How many errors of a body are listed, and what of a large one is not looked at."""

from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from service.http.content.outline import validate_in_outline
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


class Labelled(BaseModel):
    any_labels: dict[str, Any] = {}
    few_labels: dict[str, Any] = Field(default={}, max_length=1)


def test_document_with_a_rule_is_validated_whole() -> None:
    labels = {"a": 1, "b": {"c": 2}}
    assert validate_in_outline(Labelled, {"any_labels": labels}).any_labels == labels
    with pytest.raises(ValidationError, match="at most 1 item"):
        validate_in_outline(Labelled, {"few_labels": labels})
