"""What the texts of commands mean as values of a flag."""

import pytest

from service.features.kinds import Kind, WrongValueError


@pytest.mark.parametrize("text", ["true", "on", "True", "ON"])
def test_words_for_true(text: str) -> None:
    assert Kind(bool).parse(text) is True


@pytest.mark.parametrize("text", ["false", "off", "False", "OFF"])
def test_words_for_false(text: str) -> None:
    assert Kind(bool).parse(text) is False


def test_words_mean_themselves_for_other_types() -> None:
    assert Kind(str).parse("on") == "on"
    assert Kind(int).parse("5") == 5
    with pytest.raises(WrongValueError):
        Kind(int).parse("on")
