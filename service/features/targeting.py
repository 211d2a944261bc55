"""Targeting rules: for which principals a flag has another value."""

import hashlib
from typing import Annotated, Any

from pydantic import Field, JsonValue, StringConstraints, model_validator

from service.http.content.schemas import Input
from service.models.base import PRINCIPAL_LENGTH
from service.security.principals import Principal

MOST_RULES = 20
_SLICES = 10_000  # a hundredth of a percent

Id = Annotated[str, StringConstraints(min_length=1, max_length=PRINCIPAL_LENGTH)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Rule(Input):
    """Another value for the principals that meet all the conditions given; at least one is required."""

    value: JsonValue = Field(description="The value, of the flag's type.", examples=[True])
    principals: list[Id] = Field(
        default=[], max_length=500, description="Ids of principals.", examples=[["key:gse3ndxsezxn"]]
    )
    claims: dict[Name, Annotated[list[str | int | bool], Field(min_length=1, max_length=100)]] = Field(
        default={},
        max_length=10,
        description="Accepted values of each claim, all of which must match. A claim with a list matches by any item.",
        examples=[{"plan": ["pro"]}],
    )
    percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Share of the principals, by a hash of flag and id: who is in stays in as the share grows.",
        examples=[25],
    )

    @model_validator(mode="after")
    def _has_a_condition(self) -> "Rule":
        if not self.principals and not self.claims and self.percent is None:
            raise ValueError("needs principals, claims or percent; a value for everybody is the flag's own")
        return self

    def includes(self, flag: str, principal: Principal) -> bool:
        """Whether the principal meets all conditions."""
        if self.principals and principal.id not in self.principals:
            return False
        if any(not _holds(principal.claim(name), accepted) for name, accepted in self.claims.items()):
            return False
        return self.percent is None or _slice(flag, principal.id) < self.percent * _SLICES / 100


def _holds(claim: Any, accepted: list[Any]) -> bool:
    values = claim if isinstance(claim, list) else [claim]
    # 1 == True in Python, but not in JSON.
    return any(type(value) is type(one) and value == one for value in values for one in accepted)


def _slice(flag: str, principal: str) -> int:
    """Return the slice of a principal, from 0 to 9999: the same in every replica and release."""
    digest = hashlib.sha256(f"{flag}:{principal}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SLICES
