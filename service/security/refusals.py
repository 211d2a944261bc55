"""Why a credential is refused: logged and counted, never shown to the caller."""

from dataclasses import dataclass
from enum import StrEnum

import structlog
from prometheus_client import Counter

from service import clock
from service.cache.bounded_dict import BoundedDict

log = structlog.get_logger(__name__)

LINE_SECONDS = 10.0  # between two lines for the same caller and reason
LINES = 20  # most lines within that time, for all callers
_CALLERS = 1000
_LONGEST_DETAIL = 200


class Reason(StrEnum):
    """Reasons, as the log and the metric name them. Clients get the same response for all of them."""

    MALFORMED = "malformed"
    """Neither an API key nor a signed JWT (RFC 7515), or a JWT that libraries parse differently."""
    TOO_LARGE = "too_large"
    HEADER = "header"
    """A header parameter that would change how the token is verified (`jwk`, `crit`, `zip`…)."""
    TYPE = "type"
    """`typ` is not one that the issuer's `token_types` name."""
    ALGORITHM = "algorithm"
    ISSUER = "issuer"
    """`iss` is missing, or is not a configured issuer."""
    KEY_ID = "key_id"
    """The issuer has no key with this `kid`, or none that fits the algorithm."""
    SIGNATURE = "signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    """`nbf` or `iat` is in the future, beyond the leeway."""
    AUDIENCE = "audience"
    """`aud` is missing, or does not name this API."""
    SUBJECT = "subject"
    """`sub` is missing, or is not 1 to 255 visible ASCII characters and spaces (OpenID Connect Core 1.0, 2)."""
    CLAIMS = "claims"
    """`exp` is missing, or a time is not a number."""
    KEY_UNKNOWN = "key_unknown"
    """No API key has this prefix and secret."""
    KEY_EXPIRED = "key_expired"
    KEY_REVOKED = "key_revoked"


_refused = Counter("slipway_credentials_refused", "Credentials that were refused, by reason.", ["reason"])
for _reason in Reason:
    _refused.labels(_reason)  # starts at 0, so that the first refusal shows as an increase


class RefusedError(Exception):
    """A refused credential. `detail` is for the log: never the credential or a part of it."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail[:_LONGEST_DETAIL]


@dataclass(slots=True)
class _Line:
    at: float  # of clock.monotonic(), when it was last written
    unwritten: int = 0


class RefusalLog:
    """Counts every refusal, and logs at a limited rate."""

    def __init__(self) -> None:
        self._lines: BoundedDict[tuple[str, Reason], _Line] = BoundedDict(_CALLERS)
        self._window, self._written = float("-inf"), 0

    def note(self, caller: str, refused: RefusedError) -> None:
        """Record that a credential of `caller`, an address, was refused."""
        _refused.labels(refused.reason).inc()
        now = clock.monotonic()
        line = self._lines.get((caller, refused.reason))
        if (line is not None and now - line.at < LINE_SECONDS) or not self._may_write(now):
            if line is not None:
                line.unwritten += 1
            return
        more = {"detail": refused.detail} if refused.detail else {}
        if line is not None and line.unwritten:
            more["unlogged"] = str(line.unwritten)
        log.warning("credentials refused", caller=caller, reason=refused.reason.value, **more)
        self._lines[caller, refused.reason] = _Line(now)

    def _may_write(self, now: float) -> bool:
        if now - self._window >= LINE_SECONDS:
            self._window, self._written = now, 0
        self._written += 1
        return self._written <= LINES
