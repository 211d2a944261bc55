"""The keys that sign cursors, read again from their files while the service runs."""

from collections.abc import Sequence

import structlog

from service.config import Settings
from service.config.loading import SHORTEST_SECRET
from service.config.reasons import variable

log = structlog.get_logger(__name__)

_SETTINGS = ("secret_key", "previous_secret_key")


class SigningKeys:
    """The current key, and the second accepted one, if any.

    A file with a key that production would refuse at its start changes nothing: the keys from before stay in use.
    """

    def __init__(self, settings: Settings) -> None:
        self._security = settings.security
        self._shortest = SHORTEST_SECRET if settings.production else 0
        self._accepted: Sequence[str] = ()
        self._refused: Sequence[str] = ()

    def current(self) -> Sequence[str]:
        """Return the accepted keys, the signing one first. Logs once for each content that is refused."""
        keys = self._security.current_keys()
        weak = [name for name, key in zip(_SETTINGS, keys, strict=False) if len(key) < self._shortest]
        if not weak:
            self._accepted, self._refused = keys, ()
        elif keys != self._refused:
            self._refused = keys
            for name in weak:
                log.error(
                    "signing key refused, the keys from before stay in use",
                    setting=variable("security", name),
                    reason=f"production needs at least {SHORTEST_SECRET} characters",
                )
        return self._accepted
