"""The schema and the README's table are generated from values.yaml, which describes every value."""

import pytest

from chart.reference import CHART, dependencies, described, schema, written
from tests.chart.test_values import LEAVES

VALUES = described((CHART / "values.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", ["values.schema.json", "README.md"])
def test_generated_reference_is_up_to_date(name: str) -> None:
    path = CHART / name
    assert path.read_text("utf-8") == written()[path], "run `make chart-reference`"


def test_every_value_is_described() -> None:
    paths = {".".join(value.path) for value in VALUES}
    for path in LEAVES:
        steps = path.split(".")
        assert paths & {".".join(steps[:length]) for length in range(1, len(steps) + 1)}, path


def test_descriptions_are_sentences() -> None:
    assert [value.path for value in VALUES if not value.words[0].isupper()] == []
    assert [value.path for value in VALUES if value.words[-1] != "."] == []


def test_value_without_a_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.b needs a type"):
        described("a:\n  # -- Words.\n  b: {}\n")


def test_only_dependencies_accept_unknown_values() -> None:
    top = schema(VALUES)["properties"]
    assert set(top) - {"global"} >= dependencies()
    for name, found in top.items():
        if "properties" in found and name in dependencies() | {"global"}:
            assert "additionalProperties" not in found
        elif "properties" in found:
            assert found["additionalProperties"] is False, name
