"""Bearer tokens where no issuer is configured: each one is refused. Needs no cryptography and no HTTP client."""

from service.http.problems import InvalidJson
from service.security.refusals import Reason, RefusedError
from service.security.tokens.token_parts import check_form, printable, read_parts


class NoTokens:
    """Knows no issuer, so no key is ever fetched."""

    def known(self, _: str) -> None:
        """No token has been verified."""

    def seen(self, _: str) -> None:
        """As `known`."""

    async def verify(self, presented: str) -> None:
        """Raise `RefusedError`, for the reasons that `TokenVerifier` has for a token of an unknown issuer."""
        check_form(presented)
        try:
            _, claims = read_parts(presented)
        except InvalidJson:
            raise RefusedError(Reason.MALFORMED) from None
        raise RefusedError(Reason.ISSUER, f"iss {printable(claims.get('iss'))}")

    async def renew(self) -> None:
        """There are no keys."""

    async def close(self) -> None:
        """Nothing is open."""
