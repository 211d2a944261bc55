"""How much of request bodies a process holds: of each, and of all together.

Bodies that wait for slow clients take no place among the running requests, so something else must bound their memory.
The first bytes of each are not counted, so that whoever fills the rest with large ones does small ones no harm.
"""

from service.http.admission import turned_away
from service.http.problems import BodyTooLarge, Overloaded
from service.http.protocol.limits import DISCARDED
from service.settings_server import ServerSettings

SPARED = DISCARDED


class Bodies:
    """Counts the bytes of the bodies that one process holds."""

    def __init__(self, settings: ServerSettings) -> None:
        self._largest = settings.max_body_bytes
        self._free = settings.max_buffered_bytes

    def announce(self, size: int) -> None:
        """Raises `BodyTooLarge` for a body that says it will be."""
        if size > self._largest:
            raise BodyTooLarge(f"The limit is {self._largest} bytes.")

    def grow(self, held: int, more: int) -> int:
        """The size of a body that had `held` bytes and gets `more`. Raises `BodyTooLarge` or `Overloaded`."""
        size = held + more
        self.announce(size)
        counted = _counted(size) - _counted(held)
        if counted > self._free:
            turned_away.labels("bodies").inc()
            raise Overloaded("Too much of other requests is held in memory.")
        self._free -= counted
        return size

    def release(self, held: int) -> None:
        """Give back the room of a body that is done with."""
        self._free += _counted(held)


def _counted(size: int) -> int:
    return max(size - SPARED, 0)
