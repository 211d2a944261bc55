"""The public path: the path under which a proxy serves the service on a shared host."""

import re

LONGEST = 200
# Paths of the service. A public path that is a prefix of one would be ambiguous.
OWN = ("/api/v1", "/docs/assets", "/openapi.json", "/health")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")  # the unreserved characters of RFC 3986, 2.3


def clean_path(text: str) -> str:
    """Return the path without a trailing slash; empty for the root. Raises `ValueError`."""
    path = text.rstrip("/")
    if len(text) > LONGEST or not _PATH.fullmatch(text) or {".", ".."}.intersection(path.split("/")):
        raise ValueError(
            f"must be a path such as /shop: letters, digits and . _ ~ - between slashes, up to {LONGEST} characters"
        )
    if path and any(f"{own}/".startswith(f"{path}/") for own in OWN):
        raise ValueError(f"must not be {path}: paths of the service begin with it")
    return path
