"""Progress of a long command, reported at most once in a while."""

from collections.abc import Callable

from service import clock

EVERY_SECONDS = 5.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_KIBI = 1024


class Progress:
    """Counts bytes and says so through `say` every few seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._doing, self._total = "", 0
        self._bytes, self._next = 0, clock.monotonic() + EVERY_SECONDS

    def start(self, doing: str, total: int = 0) -> None:
        """Begin a phase, such as `verifying`. total: its bytes, if known."""
        self._doing, self._total, self._bytes = doing, total, 0
        self.say(doing)

    def add(self, count: int) -> None:
        """Count bytes that were read or written."""
        self._bytes += count
        if clock.monotonic() >= self._next:
            self._next = clock.monotonic() + EVERY_SECONDS
            of = f" of {size_text(self._total)}" if self._total else ""
            self.say(f"{self._doing}: {size_text(self._bytes)}{of}")


def size_text(count: float) -> str:
    """Return bytes for people, such as `1.5 MiB`."""
    for unit in _UNITS:
        if count < _KIBI or unit == _UNITS[-1]:
            break
        count /= _KIBI
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
