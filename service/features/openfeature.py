"""A provider for OpenFeature's Python SDK, for code that uses the standard API. Needs `slipway[openfeature]`.

    api.set_provider(SlipwayProvider(flags_of(DOMAINS)))
    client.get_boolean_value("new_checkout", False, EvaluationContext(principal.id, dict(principal.claims)))

It answers what `flag(principal)` answers in the same request or job. The targeting key is the principal's id, the
attributes are its claims.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from service.features.flag_names import AnyFlag, by_name, describe_unknown_flag
from service.security.principals import Principal


class SlipwayProvider(AbstractProvider):
    """Resolves the declared flags. Raises `FlagNotFoundError` and `TypeMismatchError`, which the SDK turns into the
    caller's default and an error code."""

    def __init__(self, flags: Iterable[AnyFlag]) -> None:
        super().__init__()
        self._flags = by_name(flags)

    def get_metadata(self) -> Metadata:
        return Metadata(name="slipway")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: ARG002, FBT001  # the interface's
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, evaluation_context, "boolean")

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,  # noqa: ARG002
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, evaluation_context, "string")

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,  # noqa: ARG002
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, evaluation_context, "integer")

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,  # noqa: ARG002
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        found = self._resolve(flag_key, evaluation_context, "number", "integer")
        found.value = float(found.value)
        return found

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],  # noqa: ARG002
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        found = self._resolve(flag_key, evaluation_context, "json")
        found.value = self._flags[flag_key].kind.as_json(found.value)
        return found

    def _resolve(
        self, name: str, context: EvaluationContext | None, *kinds: str
    ) -> FlagResolutionDetails[Any]:
        if (flag := self._flags.get(name)) is None:
            raise FlagNotFoundError(describe_unknown_flag(name, self._flags))
        if flag.kind.name not in kinds:
            raise TypeMismatchError(f"the flag {name} is of the type {flag.kind.name}")
        found = flag.evaluate(_principal(context))
        return FlagResolutionDetails(
            found.value,
            reason=Reason(found.reason.upper()),
            variant=found.variant,
            flag_metadata={"owner": flag.owner, "expires": str(flag.expires or "never")},
        )


def _principal(context: EvaluationContext | None) -> Principal | None:
    if context is None or context.targeting_key is None:
        return None
    return Principal(context.targeting_key, frozenset(), dict(context.attributes))
