"""Settings that also change at run time: each is a flag called `<group>_<field>`, without rules.

A field of a settings group becomes one if it is declared with `json_schema_extra=LIVE`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, cast

import structlog
from pydantic import JsonValue

from service.config import Group, Settings
from service.config.group import LIVE, descriptions
from service.config.reasons import variable
from service.features.flag import Flag
from service.features.flag_state import FlagState
from service.features.kinds import Kind

log = structlog.get_logger(__name__)

Apply = Callable[[Any], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class LiveSetting(Flag[Any]):
    """A setting as a flag, with the setting's default and bounds. Its variable stands for SLIPWAY_FEATURE__FLAGS."""

    is_setting: ClassVar[bool] = True

    group: str
    field_name: str
    bounds: Sequence[Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "kind", Kind(type(self.default), self.bounds))

    @property
    def variable(self) -> str:
        return variable(self.group, self.field_name)


@cache
def live_settings() -> tuple[LiveSetting, ...]:
    """Return all live settings."""
    return tuple(
        LiveSetting(
            f"{group}_{name}",
            default=field.default,
            description=descriptions(cast("type[Group]", type(info.default))).get(name, ""),
            owner="slipway",
            expires=None,
            group=group,
            field_name=name,
            bounds=field.metadata,
        )
        for group, info in Settings.model_fields.items()
        for name, field in type(info.default).model_fields.items()
        if field.json_schema_extra == LIVE
    )


def values_of(settings: Settings) -> dict[str, JsonValue]:
    """Return the values of flags that the settings give, by name: those of feature flags, and of live settings."""
    found = dict(settings.feature.flags)
    for flag in live_settings():
        group: Group = getattr(settings, flag.group)
        if flag.field_name in group.model_fields_set:
            found[flag.name] = flag.kind.as_json(getattr(group, flag.field_name))
    return found


class LiveGroups:
    """The settings groups of this process that change at run time."""

    def __init__(self, settings: Settings, apply: Mapping[str, Sequence[Apply]]) -> None:
        """`apply` has functions for each group with live settings, which get the group whenever it changes."""
        self._flags: dict[str, list[LiveSetting]] = {}
        for flag in live_settings():
            self._flags.setdefault(flag.group, []).append(flag)
        self._groups: dict[str, Group] = {name: getattr(settings, name) for name in self._flags}
        self._apply = {name: apply[name] for name in self._flags}

    def follow(self, states: Mapping[str, FlagState]) -> None:
        """Apply the settings that differ from those before."""
        for name, flags in self._flags.items():
            values = {flag.field_name: states[flag.name].base.value() for flag in flags}
            before, after = self._groups[name], self._groups[name].model_copy(update=values)
            if after == before:
                continue
            # Of the level warning, so that it is seen at most levels.
            for flag in flags:
                if (value := values[flag.field_name]) != getattr(before, flag.field_name):
                    log.warning("a setting changed", setting=flag.variable, value=value)
            self._groups[name] = after
            for apply in self._apply[name]:
                apply(after)
