"""Paths as clients see them, where a proxy serves the service below the root of a host.

ASGI's `root_path` is that public path, and `path` begins with it, whether the proxy strips it or not. So every link
that is made of the request's own path is right for the client, and routes know nothing of it.
"""

from collections.abc import MutableMapping
from typing import Any

from service.config.public_path import clean_path


def forwarded_path(values: list[bytes]) -> str:
    """The public path that the nearest proxy names in `X-Forwarded-Prefix`; empty for none, or one that is not clean.

    A proxy in front of that one may have sent an entry of its own, but so may the client: only the last entry counts.
    """
    if not values:
        return ""
    try:
        return clean_path(values[-1].rpartition(b",")[2].strip(b" \t").decode("ascii"))
    except ValueError:
        return ""


def place_under(scope: MutableMapping[str, Any], public_path: str) -> None:
    """Let the request have come to its path under `public_path`, as the client sees it."""
    path, raw = scope["path"], scope.get("raw_path", b"")
    if not public_path or raw == b"*":
        return
    scope["root_path"] = public_path
    if path != public_path and not path.startswith(f"{public_path}/"):  # the proxy has stripped it
        scope["path"], scope["raw_path"] = public_path + path, public_path.encode() + raw


def own_path(scope: MutableMapping[str, Any]) -> str:
    """The path below the public path, which routes match."""
    path: str = scope["path"]
    # A mounted application has a root of its own; Starlette keeps the outermost one.
    return path.removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
