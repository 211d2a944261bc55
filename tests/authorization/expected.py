"""What each operation needs and returns according to the declarations: a second statement of the engine's contract."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from service.resources.declaration import OwnedThrough, RestResource
from service.resources.domain import Domain, resources_of

BASE = "/api/v1"
ADMIN = "admin"

# name, method, rest of the path, whether it writes, and the status for callers who may: on their own item, another's
# and none; or of a list. If-Match: * asks for an existing item (RFC 9110, section 13.1.1), hence 412.
GENERATED = (
    ("list", "get", "", False, (200,)),
    ("export", "get", "/export", False, (200,)),
    ("create", "post", "", True, (201,)),
    ("bulk", "post", "/bulk", True, (200,)),
    ("read", "get", "/{id}", False, (200, 200, 404)),
    ("history", "get", "/{id}/history", False, (200, 200, 404)),
    ("replace", "put", "/{id}", True, (200, 200, 412)),
    ("patch", "patch", "/{id}", True, (200, 200, 404)),
    ("restore", "post", "/{id}/restore", True, (409, 409, 404)),
    ("delete", "delete", "/{id}", True, (204, 204, 404)),
)
# The service's own routes.
CHASSIS = {
    f"get {BASE}/keys": frozenset({ADMIN}),
    f"post {BASE}/keys": frozenset({ADMIN}),
    f"delete {BASE}/keys/{{prefix}}": frozenset({ADMIN}),
    f"get {BASE}/features": frozenset({"features:read"}),
    f"get {BASE}/feature-flags": frozenset({"features:admin"}),
    f"get {BASE}/feature-flags/{{name}}": frozenset({"features:admin"}),
    f"put {BASE}/feature-flags/{{name}}": frozenset({"features:admin"}),
    f"delete {BASE}/feature-flags/{{name}}": frozenset({"features:admin"}),
    f"get {BASE}/feature-flags/{{name}}/history": frozenset({"features:admin"}),
    "get /health": frozenset(),
}


@dataclass(frozen=True)
class Operation:
    """A generated operation: its method, the paths of the collection and below it, its scope and its statuses."""

    resource: RestResource
    name: str
    method: str
    rest: str
    scope: str
    statuses: tuple[int, ...]

    def statuses_for(self, held: frozenset[str]) -> tuple[int, ...]:
        """The statuses for callers with these scopes: another owner's item is like none, unless they see all.

        Callers whose items are those of their principal have some only if they may create them.
        """
        owner = self.resource.owner
        if owner is None or len(self.statuses) == 1 or allowed(held, frozenset({owner.all_scope})):
            return self.statuses
        own, _, none = self.statuses
        root = owner.root if isinstance(owner, OwnedThrough) else owner
        has_own = root.claim is not None or allowed(held, frozenset({self.resource.scopes.write}))
        return own if has_own else none, none, none

    @property
    def collection(self) -> str:
        return f"{BASE}/{self.resource.path}"

    @property
    def key(self) -> str:
        return f"{self.method} {self.collection}{self.rest}"


def generated(domains: Sequence[Domain]) -> list[Operation]:
    """The operations of all resources; those that delete come last."""
    found = [operation for resource in resources_of(domains) for operation in _own(resource)]
    found += _nested(resources_of(domains))
    return sorted(found, key=lambda operation: operation.name == "delete")


def actions(domains: Sequence[Domain]) -> dict[str, frozenset[str]]:
    """The scopes of the actions of all resources."""
    return {
        f"post {BASE}/{resource.path}/{{id}}/{action.segment}": frozenset(
            {action.scope or resource.scopes.write}
        )
        for resource in resources_of(domains)
        for action in resource.actions
    }


def table(app: FastAPI, domains: Sequence[Domain]) -> dict[str, frozenset[str]]:
    """The scopes of every operation of the application. A hand-written route needs what the document says."""
    expected = {operation.key: frozenset({operation.scope}) for operation in generated(domains)}
    expected |= actions(domains) | CHASSIS
    written = documented(app)
    return {
        key: frozenset(written[key].get("x-required-scopes", ())) for key in written.keys() - expected.keys()
    } | expected


def documented(app: FastAPI) -> Mapping[str, dict[str, Any]]:
    """The operations of the OpenAPI document, as "get /path"."""
    return {
        f"{method} {path}": operation
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }


def principals(scopes: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Callers with no key, with a scope that no route needs, and with each scope alone."""
    alone = {scope: frozenset({scope}) for needed in scopes.values() for scope in sorted(needed)}
    return {"nobody": frozenset(), "stranger": frozenset({"other:read"}), **alone}


def seeing_all(domains: Sequence[Domain]) -> dict[str, frozenset[str]]:
    """Callers who may do everything with a resource that has owners, and see the items of all."""
    held = {
        frozenset({resource.scopes.read, resource.scopes.write, resource.owner.all_scope}): resource.path
        for resource in resources_of(domains)
        if resource.owner is not None
    }
    return {f"{path} of all": scopes for scopes, path in held.items()}


def allowed(held: frozenset[str], needed: frozenset[str]) -> bool:
    return needed <= held or ADMIN in held


def _own(resource: RestResource) -> Iterator[Operation]:
    for name, method, rest, writes, statuses in GENERATED:
        if name not in resource.without:
            scope = resource.scopes.write if writes else resource.scopes.read
            yield Operation(resource, name, method, rest, scope, statuses)


def _nested(resources: Sequence[RestResource]) -> Iterator[Operation]:
    """Lists of the items that refer to one of another resource by a filterable field."""
    for child in resources:
        for parent, _ in child.parents(tuple(resources)) if "list" not in child.without else ():
            rest = f"/{{id}}/{child.path}"
            yield Operation(parent, f"list {child.path}", "get", rest, child.scopes.read, (200, 200, 404))
