"""A search for a file of the service by its name finds one file."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePath

# The files of these folders are named after domains' parts, groups of settings and commands.
NAMED_BY_SUBJECT = ("service/domains/", "service/config/", "service/cli/")
# These mean the same in every folder: its exceptions, and the routes that it adds to the application.
SHARED = {"__init__.py", "__main__.py", "errors.py", "routes.py"}


def doubles(paths: Iterable[str]) -> Iterator[str]:
    """Yield a line for each name that several files of the service have. docs/architecture.md lists the exceptions."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        name = PurePath(path).name
        counts = path.startswith("service/") and not path.startswith(NAMED_BY_SUBJECT)
        if counts and path.endswith(".py") and name not in SHARED:
            places[name].append(path)
    for name, found in places.items():
        if len(found) > 1:
            yield f"{' and '.join(found)} are all called {name}: name each after what it holds"
