"""The values of flags in the settings, checked against the declared flags."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue, field_validator

from service.config import FeatureSettings
from service.features.flag_names import AnyFlag, by_name, describe_unknown_flag
from service.features.kinds import WrongValueError
from service.features.live_settings import live_settings


def check_values(given: Mapping[str, JsonValue], declared: Mapping[str, AnyFlag]) -> dict[str, Any]:
    """Return the Python values of flags by name. Raises `ValueError` for an unknown flag or a wrong value."""
    found = {}
    for name, value in given.items():
        if name not in declared:
            raise ValueError(describe_unknown_flag(name, declared))
        try:
            found[name] = declared[name].kind.check(value)
        except WrongValueError as error:
            raise ValueError(f"the flag {name} {error}") from None
    return found


def feature_settings(flags: Iterable[AnyFlag]) -> type[FeatureSettings]:
    """Return the group of feature settings, which accepts values for these flags alone. Raises `FlagError`."""
    declared = by_name(flags)
    own = {flag.name: flag.variable for flag in live_settings()}

    class Checked(FeatureSettings):
        @field_validator("flags")
        @classmethod
        def _are_declared(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
            for name in value.keys() & own.keys():
                raise ValueError(f"{name} is not set here, but in {own[name]}")
            check_values(value, declared)
            return value

    Checked.__name__ = Checked.__qualname__ = FeatureSettings.__name__
    Checked.__doc__ = FeatureSettings.__doc__
    return Checked
