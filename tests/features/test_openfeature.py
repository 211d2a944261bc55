"""The real OpenFeature SDK with our provider."""

from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from service.features.openfeature import SlipwayProvider
from tests.features.test_flags import ANNA, BERT, in_force
from tests.shop.flags import FLAGS, banner, greeting

PRO = {"claims": {"plan": ["pro"]}, "value": "hello pro"}


@pytest.fixture
def client() -> Iterator[OpenFeatureClient]:
    api.set_provider(SlipwayProvider(FLAGS))
    yield api.get_client()
    api.clear_providers()


def context(principal: Any) -> EvaluationContext:
    return EvaluationContext(principal.id, dict(principal.claims))


def test_sdk_answers_what_the_flag_answers(client: OpenFeatureClient) -> None:
    with in_force(greeting, "base", PRO):
        found = client.get_string_details("greeting", "mine", context(ANNA))
        assert (found.value, found.variant, found.reason) == ("hello pro", "rule_1", Reason.TARGETING_MATCH)
        assert found.flag_metadata == {"owner": "shop", "expires": "never"}
        assert client.get_string_value("greeting", "mine", context(BERT)) == greeting(BERT) == "base"


async def test_each_type_has_its_call(client: OpenFeatureClient) -> None:
    assert client.get_boolean_value("value_of_active", True) is False
    assert client.get_integer_value("page_size", 1) == 20
    assert client.get_float_value("discount", 1.5) == 0.5
    assert await client.get_integer_value_async("page_size", 1) == 20
    with in_force(banner, banner.kind.check({"text": "x"})):
        shown = {"text": "x", "seconds": 5, "until": None}
        assert client.get_object_value("banner", {}) == shown


def test_unknown_flag_and_other_type_give_the_callers_default(client: OpenFeatureClient) -> None:
    unknown = client.get_boolean_details("value_of_activ", True)
    assert (unknown.value, unknown.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    assert unknown.error_message is not None
    assert unknown.error_message.endswith("Did you mean value_of_active?")
    other = client.get_boolean_details("greeting", True)
    assert (other.value, other.error_code) == (True, ErrorCode.TYPE_MISMATCH)
