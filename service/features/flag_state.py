"""The state of a flag at one moment: its value for everybody and its rules, ready to choose from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import Counter

from service.features.kinds import Kind
from service.features.targeting import Rule
from service.security.principals import Principal

Reason = Literal["default", "static", "targeting_match", "split"]
"""The reasons of OpenFeature: from the code, the same for everybody, by principal or claim, by percentage."""
Source = Literal["default", "settings", "database"]

_evaluations = Counter(
    "slipway_feature_evaluations",
    "Evaluations of feature flags, by flag and variant: true, false, or where another value comes from.",
    ["flag", "variant"],
)
_VARIANTS: dict[Source, str] = {"default": "default", "settings": "setting", "database": "value"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A value to hand out. `count` counts the evaluation."""

    value: Callable[[], Any]
    variant: str
    reason: Reason
    count: Callable[[], None]


class FlagState:
    """What decides on the value of one flag. The first rule that includes the principal wins."""

    __slots__ = ("_flag", "_rules", "base", "source")

    def __init__(self, flag: str, kind: Kind, value: Any, source: Source, rules: Sequence[Rule] = ()) -> None:
        """Raises `WrongValueError` if the value of a rule does not have the flag's type."""
        self._flag = flag
        self.source = source
        self.base = _choice(
            flag, kind, value, _VARIANTS[source], "default" if source == "default" else "static"
        )
        self._rules = [
            (rule, _choice(flag, kind, kind.check(rule.value), f"rule_{number}", _reason(rule)))
            for number, rule in enumerate(rules, 1)
        ]

    def choose(self, principal: Principal | None) -> Choice:
        """Return the choice for a principal."""
        if principal is not None:
            for rule, choice in self._rules:
                if rule.includes(self._flag, principal):
                    return choice
        return self.base


def _choice(flag: str, kind: Kind, value: Any, variant: str, reason: Reason) -> Choice:
    shown = str(value).lower() if kind.name == "boolean" else variant
    return Choice(kind.copier(value), shown, reason, _evaluations.labels(flag, shown).inc)


def _reason(rule: Rule) -> Reason:
    return "targeting_match" if rule.percent is None else "split"
