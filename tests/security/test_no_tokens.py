"""Tokens where no issuer is configured: refused, for the same reasons as with issuers, and never fetched for."""

import pytest

from service.config import SecuritySettings
from service.security.refusals import RefusedError
from service.security.tokens.no_tokens import NoTokens
from service.security.tokens.token_verifier import TokenVerifier
from tests.security.issuer import segment

TOKENS = {
    "none of ours": f"{segment({'alg': 'RS256'})}.{segment({'iss': 'https://other.test'})}.c2ln",
    "no parts": "slw_abcdefgh_wrong",
    "not JSON": "e30.bm90IGpzb24.c2ln",
    "too large": "x" * 20_000,
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
async def test_token_is_refused_as_by_the_verifier_of_issuers(token: str) -> None:
    verifier, reasons = NoTokens(), []
    for one in (verifier, TokenVerifier(SecuritySettings())):
        with pytest.raises(RefusedError) as refused:
            await one.verify(token)
        reasons.append((str(refused.value), refused.value.detail))
    assert reasons[0] == reasons[1]
