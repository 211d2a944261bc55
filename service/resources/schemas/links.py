"""OpenAPI links: which operations can follow a response, and which of its values they use."""

from typing import Any

from service.resources.declaration import RestResource

_FROM_BODY = "$response.body#/id"
_FROM_PATH = "$request.path.id"
_TAG = {"header.If-Match": "$response.header.ETag"}


def links_of_item(resource: RestResource, *, in_body: bool) -> dict[str, Any]:
    """Return the links of a response with an item and its ETag. The id is `in_body`, or in the request's path."""
    target = {"path.id": _FROM_BODY if in_body else _FROM_PATH}
    guarded = target | _TAG
    parameters = {"read": target, "patch": guarded, "replace": guarded, "delete": guarded, "history": target}
    return _links(resource, parameters)


def links_of_deleted(resource: RestResource) -> dict[str, Any]:
    """Return the links of a deleted item."""
    target = {"path.id": _FROM_PATH}
    return _links(resource, {"restore": target, "history": target})


def _links(resource: RestResource, parameters: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "links": {
            name: {"operationId": resource.operation_id(name), "parameters": values}
            for name, values in parameters.items()
            if name not in resource.without
        }
    }
