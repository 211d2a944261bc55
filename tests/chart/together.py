"""Values of the chart that the same renderings can test."""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.chart.changes import WHOLE
from tests.chart.rendering import objects, own, scalars

# Of two values that exclude or hide each other, each has renderings of its own.
APART = (
    ("autoscaling.enabled", "keda.enabled"),
    ("autoscaling.enabled", "replicaCount"),
    ("backup.storage", "backup.existingClaim"),
    ("externalDatabase.host", "externalDatabase.urlKey"),
    ("externalRedis.host", "externalRedis.sentinel.hosts"),
    ("networkPolicy.metrics.from", "serviceMonitor.enabled"),
    ("prometheusRule.alerts", "prometheusRule.latency"),
    *(
        (f"{server}.tls.caConfigMap", f"{server}.tls.caSecret")
        for server in ("externalDatabase", "externalRedis", "externalRedis.sentinel")
    ),
)
DEFAULTS = {"postgresql": {"enabled": True}, "redis": {"enabled": True}}
"""What a value needs that names nothing else."""

Values = dict[str, Any]
Feature = tuple[str, ...]


def leaves(values: Values, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value and path + name not in WHOLE:
            yield from leaves(value, f"{path}{name}.")
        else:
            yield path + name, value


def merged(one: Values, other: Values) -> Values:
    """Return both as one: groups of values that both have are merged too."""
    both = {
        name: merged(one[name], other[name])
        for name in one.keys() & other.keys()
        if isinstance(one[name], dict) and isinstance(other[name], dict)
    }
    return {**one, **other, **both}


def assigned(values: Values) -> list[str]:
    """Return arguments for Helm that set these values."""
    return [part for name, found in values.items() for part in ("--set-json", f"{name}={json.dumps(found)}")]


class Group:
    """Values for the same renderings, and the context that they need together."""

    def __init__(self) -> None:
        self.context: Values = {}
        self.paths: list[str] = []
        self._needed: set[str] = set()

    def takes(self, path: str, context: Values, *, switched: bool) -> bool:
        """Add a value, unless its context or itself excludes what is here. A value that is switched on and off is in
        no other's context."""
        needed, here = dict(leaves(context)), dict(leaves(self.context))
        if switched:
            needed.pop(path, None)
            if path in self._needed or needed.keys() & {*self.paths}:
                return False
        names = {path, *needed, *self.paths, *here}
        if any(needed[name] != here[name] for name in needed.keys() & here.keys()):
            return False
        if any(names.issuperset(pair) for pair in APART):
            return False
        self.context = merged(self.context, context)
        self.paths.append(path)
        self._needed |= needed.keys()
        return True


def grouped(contexts: Iterable[tuple[str, Values]], *, switched: bool = False) -> list[Group]:
    """Return the values, given with their contexts, in as few groups as possible."""
    found: list[Group] = []
    for path, context in contexts:
        needed = context or DEFAULTS
        if not any(group.takes(path, needed, switched=switched) for group in found):
            found.append(Group())
            assert found[-1].takes(path, needed, switched=switched), path
    return found


def halves(number: int) -> tuple[int, list[frozenset[int]]]:
    """Return how many renderings there are, and for each of `number` values the half of them in which it is set.

    All halves have rendering 0, so none is the complement of another. What depends on two values, by "and" or "or", is
    in fewer or more renderings than a half.
    """
    for count in itertools.count(4, 2):
        found = [frozenset((0, *rest)) for rest in itertools.combinations(range(1, count), count // 2 - 1)]
        if len(found) >= number:
            return count, found[:number]
    raise AssertionError


def renderings_by_feature(texts: Iterable[tuple[str, ...]]) -> set[frozenset[int]]:
    """Render with each of these arguments. Return the sets of renderings that have a scalar in common which no other
    rendering has, wherever it is in its lists."""
    found: dict[Feature, set[int]] = defaultdict(set)
    for number, arguments in enumerate(texts):
        for each in objects(own(*arguments)):
            for path, value in scalars(each):
                parts = ("*" if part.isdigit() else part for part in path.split("/"))
                found[each["kind"], each["metadata"]["name"], *parts, str(value)].add(number)
    return {*map(frozenset, found.values())}
