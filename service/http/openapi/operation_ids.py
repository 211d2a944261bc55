"""Operation ids of hand-written routes: the function's name, without the path and method that FastAPI appends."""

import re
from collections import Counter
from typing import Any

from fastapi.routing import APIRoute


def provisional_id(route: APIRoute) -> str:
    """An id that is unique in any application, for `FastAPI(generate_unique_id_function=…)`."""
    return f"{_snake(route.name)}:{'.'.join(sorted(route.methods or ()))}:{route.path_format}"


def settle(paths: dict[str, Any]) -> None:
    """Give every operation its final id. If several operations share a name, method and path are appended."""
    operations = [
        (method, path, operation) for path, methods in paths.items() for method, operation in methods.items()
    ]
    names = Counter(_name(operation) for _, _, operation in operations)
    for method, path, operation in operations:
        name = _name(operation)
        is_settled = name == operation["operationId"]
        if not is_settled:
            operation["operationId"] = name if names[name] == 1 else _snake(f"{name}_{method}_{path}")


def _name(operation: dict[str, Any]) -> str:
    name: str = operation["operationId"].partition(":")[0]
    return name


def _snake(text: str) -> str:
    return re.sub(r"[\W_]+", "_", text).strip("_")
