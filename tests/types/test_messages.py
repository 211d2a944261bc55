"""Messages use the API's own wording, whatever rule is broken."""

import re
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticKnownError
from pydantic_core._pydantic_core import list_all_errors

from service.http.problems.messages import message_of, place_of
from tests.engine.api import BASE, Api, problem

LIST = f"{BASE}/zz-probes"
FOREIGN = re.compile(
    r"Value error|Assertion|Input should|Extra inputs|Field required|pydantic|https?://|dictionary|"
    r"\b(str|int|float|bool|dict|tuple|None|NoneType|datetime|timedelta|Decimal)\b"
)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"small": 32768}, {"/small": "must be at most 32767"}),
        ({"small": -32769}, {"/small": "must be at least -32768"}),
        ({"whole": "1"}, {"/whole": "must be an integer"}),
        ({"whole": 1.5}, {"/whole": "must be an integer"}),
        ({"ratio": "0.1"}, {"/ratio": "must be a number"}),
        ({"ratio": 1e39}, {"/ratio": "must be 0, or have a size from 1e-45 to 3.4028235e+38"}),
        ({"double": 9007199254740993}, {"/double": "must be a number that a double can represent exactly"}),
        ({"exact": "1.23456"}, {"/exact": "must have at most 4 decimal places"}),
        ({"exact": 1.23456}, {"/exact": "must have at most 4 decimal places"}),
        ({"exact": "123456789"}, {"/exact": "must have at most 8 digits before the decimal point"}),
        ({"exact": 123456789}, {"/exact": "must have at most 8 digits before the decimal point"}),
        ({"exact": "1e3"}, {"/exact": 'must be a number, as text such as "12.50"'}),
        ({"exact": True}, {"/exact": 'must be a number, as text such as "12.50"'}),
        ({"any_number": "NaN"}, {"/any_number": 'must be a number, as text such as "12.50"'}),
        ({"label": "x" * 101}, {"/label": "must have at most 100 characters"}),
        ({"label": 5}, {"/label": "must be a string"}),
        ({"title": None}, {"/title": "must be a string"}),
        ({"day": "2026-02-30"}, {"/day": "must be a date that exists, such as 2026-01-31"}),
        ({"day": 5}, {"/day": "must be a date that exists, such as 2026-01-31"}),
        ({"clock": "09:30:00Z"}, {"/clock": "must be a time of day without a zone, such as 09:30:00"}),
        ({"at": "x"}, {"/at": "must be a time as in RFC 3339, such as 2026-01-31T09:30:00Z"}),
        ({"span": "P1M"}, {"/span": "must be a duration in days, hours, minutes and seconds, such as P1DT2H30M"}),
        ({"flag": 1}, {"/flag": "must be true or false"}),
        ({"colour": "pink"}, {"/colour": "must be 'red', 'green' or 'blue'"}),
        ({"ref": "x"}, {"/ref": "must be a UUID"}),
        ({"ref": 5}, {"/ref": "must be a UUID"}),
        ({"doc": []}, {"/doc": "must be an object"}),
        ({"words": "x"}, {"/words": "must be an array"}),
        ({"wholes": [1, "x"]}, {"/wholes/1": "must be an integer"}),
        ({"flags": [True] * 21}, {"/flags": "must have at most 20 items"}),
        ({"days": ["x"]}, {"/days/0": "must be a date that exists, such as 2026-01-31"}),
        ({"nothing": 1}, {"/nothing": "is not a known field"}),
        ([], {"": "must be an object"}),
    ],
)  # fmt: skip
async def test_each_rule_has_its_message(api: Api, body: Any, told: dict[str, str]) -> None:
    responses = [problem(await api.client.post(LIST, json=body), 422, "validation_failed")]
    if isinstance(body, dict):
        operations = {"operations": [{"op": "create", "item": body}]}
        refused = problem(await api.client.post(f"{LIST}/bulk", json=operations), 422, "validation_failed")
        for error in refused["errors"]:
            error["pointer"] = error["pointer"].removeprefix("/operations/0/item")
        responses.append(refused)
    for response in responses:
        assert {error["pointer"]: error["message"] for error in response["errors"]} == told


async def test_missing_member_and_unknown_operation_are_reported(api: Api) -> None:
    refused = await api.client.post(f"{BASE}/shelves", json={"name": ""})
    messages = {error["pointer"]: error["message"] for error in refused.json()["errors"]}
    assert messages == {"/slug": "is required", "/name": "must have at least 1 character"}
    for operation in ({"op": "shake"}, {}):
        refused = await api.client.post(f"{LIST}/bulk", json={"operations": [operation]})
        assert "must have the member 'op'" in refused.json()["errors"][0]["message"]


def _context(example: dict[str, Any] | None) -> dict[str, Any] | None:
    return example and {name: value if value is not None else 1 for name, value in example.items()}


def test_no_message_mentions_python_types() -> None:
    """Return the errors that JSON types can cause."""
    never = re.compile(
        r"frozen|argument|recursion|attribute|get_|missing_sentinel|no_such|dataclass_exact|mapping|hash"
    )
    for known in list_all_errors():
        if never.search(known["type"]) or known["type"] in ("value_error", "assertion_error"):
            continue
        error = PydanticKnownError(known["type"], _context(known.get("example_context")))
        told = message_of({"type": known["type"], "ctx": error.context or {}, "msg": error.message()})
        assert not FOREIGN.search(told), (known["type"], told)


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even")
    assert value < 10, "must be small"
    return value


class Rules(BaseModel):
    """Validation rules as a team writes them."""

    even: Annotated[int, AfterValidator(_even)] = 0
    odd: Annotated[int, AfterValidator(_even)] = 0
    counts: dict[Annotated[str, Field(max_length=2)], int] = Field(default_factory=dict)
    kind: Literal["a", "b"] = "a"


def test_messages_of_model_validators_are_kept() -> None:
    with pytest.raises(ValidationError) as raised:
        Rules.model_validate({"even": 3, "odd": 12, "counts": {"abc": 1}, "kind": "c"})
    told = {place_of(error): message_of(error) for error in raised.value.errors()}
    assert told[("even",)] == "must be even"
    assert told[("odd",)].startswith("must be small")
    assert told[("counts", "abc")] == "must have at most 2 characters"
    assert told[("kind",)] == "must be 'a' or 'b'"
