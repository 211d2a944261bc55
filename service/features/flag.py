"""Declarations of feature flags, and their evaluation: `if flags.new_checkout(principal):`."""

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import date
from typing import ClassVar, Generic, TypeVar, cast

from service import actor, clock
from service.features.flag_state import FlagState, Reason
from service.features.kinds import Kind
from service.security.principals import Principal

T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
_LONGEST_NAME = 63


class FlagError(Exception):
    """A flag that cannot be declared so; raised when its module is imported, naming the flag."""


@dataclass(frozen=True, slots=True)
class Evaluation(Generic[T]):
    """A value, and why it was chosen. `variant` names the value: `true` or `false`, otherwise where it comes from."""

    value: T
    variant: str
    reason: Reason


@dataclass(frozen=True, eq=False)
class Flag(Generic[T]):
    """A feature flag. Its type is that of `default`: bool, str, int, float, dict, list or a Pydantic model.

    `owner` decides when the flag goes; after `expires`, `make check` fails until it is removed or renewed. None is for
    switches that stay, such as one that sheds load. A domain lists its flags in `Domain.flags`. Raises `FlagError`.
    """

    is_setting: ClassVar[bool] = False
    """Whether it is a setting of the whole service: without rules, and shown to administrators only."""

    name: str
    _: KW_ONLY
    default: T
    description: str
    owner: str
    expires: date | None
    kind: Kind = field(init=False)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name) or len(self.name) > _LONGEST_NAME:
            raise FlagError(
                f"{self.name!r}: a flag's name has at most {_LONGEST_NAME} lowercase letters, digits and single "
                "underscores"
            )
        if not self.description.strip() or not self.owner.strip():
            raise FlagError(f"{self.name}: a flag needs a description and an owner")
        kind = Kind.of(self.default)
        if kind is None:
            raise FlagError(
                f"{self.name}: the default of a flag is a bool, str, int, float, dict, list or Pydantic model, not a "
                f"{type(self.default).__name__}"
            )
        object.__setattr__(self, "kind", kind)

    def __call__(self, principal: Principal | None = None) -> T:
        """Return the value for a principal; without one, rules do not apply.

        Within a request, and within a run of a job, a flag keeps the state that it had at the beginning.
        """
        return self.evaluate(principal).value

    def evaluate(self, principal: Principal | None = None) -> Evaluation[T]:
        """As a call, with the reason."""
        state = states_in_force().get(self.name)
        if state is None:
            return Evaluation(self.default, "default", "default")
        choice = state.choose(principal)
        choice.count()
        return Evaluation(cast("T", choice.value()), choice.variant, choice.reason)

    @property
    def expired(self) -> bool:
        return self.expires is not None and clock.now().date() > self.expires


def states_in_force() -> Mapping[str, FlagState]:
    """Return the states that this request or job began with; empty outside both, where flags have their defaults."""
    acting = actor.current()
    return cast("Mapping[str, FlagState]", (acting and acting.flags) or {})
