"""Paths as clients see them, if a proxy serves the service under a public path.

ASGI's `root_path` is the public path, and `path` begins with it, whether or not the proxy strips it. So every link made
from the request's path is right for the client, and routes need not know the public path.
"""

from collections.abc import MutableMapping
from typing import Any

from service.config.clean_path import clean_path


def forwarded_path(values: list[bytes]) -> str:
    """Return the public path from the nearest proxy's `X-Forwarded-Prefix`; empty if it is missing or not clean.

    Earlier entries may come from other proxies or from the client: only the last entry counts.
    """
    if not values:
        return ""
    try:
        return clean_path(values[-1].rpartition(b",")[2].strip(b" \t").decode("ascii"))
    except ValueError:
        return ""


def place_under(scope: MutableMapping[str, Any], public_path: str) -> None:
    """Rewrite the request's path to the one under `public_path`, as the client sees it."""
    path, raw = scope["path"], scope.get("raw_path", b"")
    if raw == b"*":
        return
    scope["root_path"] = public_path
    if path != public_path and not path.startswith(f"{public_path}/"):  # the proxy has stripped it
        scope["path"], scope["raw_path"] = public_path + path, public_path.encode() + raw


def own_path(scope: MutableMapping[str, Any]) -> str:
    """Return the path without the public path, which routes match."""
    path: str = scope["path"]
    # A mounted application has its own root path; Starlette keeps the outermost one.
    return path.removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
