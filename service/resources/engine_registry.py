"""Finds the engine of a model, for code that changes items of other resources."""

from collections import defaultdict
from typing import TYPE_CHECKING

from service.models.base import Resource
from service.resources.hooks.values import HookError

if TYPE_CHECKING:
    from service.resources.engine import Engine


class EngineRegistry:
    """The engines of all resources, for callers who see all fields."""

    def __init__(self) -> None:
        self._by_model: defaultdict[type, list[Engine]] = defaultdict(list)

    def add(self, engine: "Engine") -> None:
        """Note the engine of a resource whose items can be changed."""
        if not engine.resource.is_view:
            self._by_model[engine.resource.model].append(engine)

    def of(self, model: type[Resource]) -> "Engine":
        """Return the engine of the only resource that serves the model. Raises `HookError`."""
        found = self._by_model.get(model, [])
        if len(found) == 1:
            return found[0]
        paths = " and ".join(engine.resource.path for engine in found) or "no resource"
        raise HookError(
            f"{model.__name__} is served by {paths}; exactly one resource must serve it, to say which rules hold. "
            "Otherwise write through a session"
        )
