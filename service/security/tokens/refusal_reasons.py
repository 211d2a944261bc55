"""The library's errors as reasons for refusal."""

import jwt

from service.http.problems import InvalidJson
from service.security.refusals import Reason, RefusedError

# The first match counts: some of the library's errors are base classes of others.
_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (jwt.ExpiredSignatureError, Reason.EXPIRED),
    (jwt.ImmatureSignatureError, Reason.NOT_YET_VALID),
    (jwt.InvalidAudienceError, Reason.AUDIENCE),
    (jwt.InvalidIssuerError, Reason.ISSUER),
    (jwt.exceptions.InvalidSubjectError, Reason.SUBJECT),
    (jwt.InvalidAlgorithmError, Reason.ALGORITHM),
    (jwt.InvalidSignatureError, Reason.SIGNATURE),
    (jwt.DecodeError, Reason.MALFORMED),
    (jwt.PyJWTError, Reason.CLAIMS),
    (InvalidJson, Reason.MALFORMED),
)
_MISSING = {"aud": Reason.AUDIENCE, "iss": Reason.ISSUER, "sub": Reason.SUBJECT}


def refused(error: Exception) -> RefusedError:
    """Return the refusal for an error of the JWT library, or of a part that is not JSON."""
    reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
    if isinstance(error, jwt.MissingRequiredClaimError):
        reason = _MISSING.get(error.claim, Reason.CLAIMS)
    return RefusedError(reason)
