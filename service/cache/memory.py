"""The memory that all caches of a process share. The entries used least recently make room for new ones."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

OVERHEAD = 400  # bytes of an entry beyond its value: keys, objects and their places in dictionaries


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached value of `size` bytes. `fresh_until` and `good_until` are times of clock.monotonic(); in between, the
    value is stale. `generation` is that of its cache."""

    value: Any
    size: int
    fresh_until: float
    good_until: float
    generation: int


class Memory:
    """At most `size` bytes of entries; none with 0."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()

    def get(self, key: Hashable) -> Entry | None:
        """Return an entry, and keep it longer than those used before."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Hashable, entry: Entry) -> None:
        """Keep an entry, unless it is larger than the whole memory."""
        self.drop(key)
        needed = entry.size + OVERHEAD
        if needed > self.size:
            return
        self._entries[key] = entry
        self.used += needed
        while self.used > self.size:
            _, oldest = self._entries.popitem(last=False)
            self.used -= oldest.size + OVERHEAD

    def drop(self, key: Hashable) -> None:
        """Remove an entry, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used -= entry.size + OVERHEAD
