"""Fields that only some callers see. Each set of scopes has an engine of its own, for a resource without
the other fields.

So no path needs to know of them: what is not in the declaration is in no statement, schema, filter or entity tag.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from service.resources.declaration import RestResource
from service.resources.engine import Engine
from service.security.principals import Principal

EngineOf = Callable[[Principal], Engine]


def engine_of_caller(engine: Engine) -> EngineOf | None:
    """Return what finds the engine for a caller; None if all callers see the same fields."""
    visible = engine.resource.visible
    scopes = tuple(dict.fromkeys(visible.values()))
    if not scopes:
        return None
    by_held = {}
    for held in product((False, True), repeat=len(scopes)):
        missing = {scope for scope, is_held in zip(scopes, held, strict=True) if not is_held}
        unseen = tuple(name for name, scope in visible.items() if scope in missing)
        by_held[held] = _without(engine, unseen) if unseen else engine

    def find(principal: Principal) -> Engine:
        return by_held[tuple([principal.may(scope) for scope in scopes])]

    return find


def _without(engine: Engine, unseen: tuple[str, ...]) -> Engine:
    relations = [relation for relation in engine.relations if relation.column not in unseen]
    return Engine(without_fields(engine.resource, unseen), engine.services, relations, unseen)


def without_fields(resource: RestResource, unseen: tuple[str, ...]) -> RestResource:
    """Return the resource as callers without the scopes of these fields know it.

    They cannot be written either: a new item gets their defaults, and a replacement leaves them as they are.
    """

    def is_seen(name: str) -> bool:
        relation, dot, _ = name.partition(".")
        return (resource.foreign_key_of(relation) if dot else name) not in unseen

    def rest(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(filter(is_seen, names))

    own = tuple(name for name in unseen if name in resource.own_fields and name not in resource.readonly)
    return replace(
        resource,
        visible={},
        expand={
            name: of for name, of in resource.expand.items() if resource.foreign_key_of(name) not in unseen
        },
        computed={name: one for name, one in resource.computed.items() if name not in unseen},
        hidden=(*resource.hidden, *(name for name in unseen if name not in resource.computed)),
        readonly=(*resource.readonly, *own),
        filterable=rest(resource.filterable),
        sortable=rest(resource.sortable),
    )
