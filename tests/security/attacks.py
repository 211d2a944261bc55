"""Tokens that must be refused, by name of the attack. Each function makes a token for an issuer."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.security.refusals import Reason
from tests.security.issuer import AUDIENCE, PRIVATE, Issuer, public_jwk, segment, signed

Attack = Callable[[Issuer], str]

OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWK = public_jwk("RS256", OTHER)
PEM = PRIVATE["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
GOOD = {"alg": "RS256", "kid": "kid-RS256", "typ": "at+jwt"}


def claims(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": issuer.url,
        "aud": AUDIENCE,
        "sub": "user-1",
        "exp": now + 300,
        "scope": "admin",
        **changes,
    }


def hs256(issuer: Issuer, secret: bytes) -> str:
    """Return a token signed with a public key as if it were a shared secret."""
    text = f"{segment({**GOOD, 'alg': 'HS256'})}.{segment(claims(issuer))}"
    tag = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"


def head(**changes: Any) -> Attack:
    return lambda issuer: signed("RS256", {**GOOD, **changes}, claims(issuer))


def body(**changes: Any) -> Attack:
    return lambda issuer: signed("RS256", GOOD, claims(issuer, **changes))


def without(name: str) -> Attack:
    return lambda issuer: signed("RS256", GOOD, {k: v for k, v in claims(issuer).items() if k != name})


def raw(end: bytes, *, without_exp: bool = False) -> Attack:
    """Return claims whose JSON text ends in `end`."""

    def make(issuer: Issuer) -> str:
        given = claims(issuer)
        if without_exp:
            del given["exp"]
        return signed("RS256", GOOD, json.dumps(given).encode()[:-1] + end)

    return make


ATTACKS: dict[str, Attack] = {
    "alg none": lambda i: f"{segment({**GOOD, 'alg': 'none'})}.{segment(claims(i))}.",
    "number beyond computing": lambda i: ".".join(
        [segment(b'{"alg":1e-99999999999999999999}'), segment(claims(i)), "A"]
    ),
    "alg none, signed": head(alg="none"),
    "alg None": head(alg="None"),
    "alg NONE": head(alg="NONE"),
    "alg null": head(alg=None),
    "alg a list": head(alg=["RS256"]),
    "alg missing": lambda i: signed("RS256", {"kid": "kid-RS256"}, claims(i)),
    "alg of no family": head(alg="XX256"),
    "alg lower case": head(alg="rs256"),
    "alg another of the key": head(alg="RS512"),
    "alg of another key": head(alg="ES256"),
    "key confusion, PEM": lambda i: hs256(i, PEM),
    "key confusion, empty": lambda i: hs256(i, b""),
    "embedded jwk": lambda i: jwt.encode(claims(i), OTHER, algorithm="RS256", headers={"jwk": JWK}),
    "jwk with a good key": head(jwk=JWK),
    "jku": lambda i: signed("RS256", {**GOOD, "jku": f"{i.url}/jwks"}, claims(i)),
    "x5u": lambda i: signed("RS256", {**GOOD, "x5u": f"{i.url}/cert"}, claims(i)),
    "x5c": head(x5c=["MIIB"]),
    "crit": head(crit=["exp"]),
    "crit empty": head(crit=[]),
    "b64 false": head(b64=False, crit=["b64"]),
    "b64 false alone": head(b64=False),
    "zip": head(zip="DEF"),
    "nested": head(cty="JWT"),
    "encrypted": head(enc="A256GCM"),
    "typ of an id token's kind": head(typ="logout+jwt"),
    "typ a number": head(typ=1),
    "kid unknown": head(kid="other"),
    "kid path": head(kid="../../dev/null"),
    "kid SQL": head(kid="' OR 1=1 --"),
    "kid number": head(kid=1),
    "kid list": head(kid=["kid-RS256"]),
    "kid empty": head(kid=""),
    "kid huge": head(kid="k" * 4000),
    "kid missing, several keys": lambda i: signed("RS256", {"alg": "RS256"}, claims(i, iss="x")),
    "another's key": lambda i: jwt.encode(claims(i), OTHER, algorithm="RS256", headers={"kid": "kid-RS256"}),
    "iss missing": without("iss"),
    "iss another": body(iss="https://evil.test"),
    "iss with a slash": lambda i: signed("RS256", GOOD, claims(i, iss=i.url + "/")),
    "iss of an issuer that would answer": lambda i: signed(
        "RS256", GOOD, claims(i, iss=i.url.replace("127.0.0.1", "localhost"))
    ),
    "iss a list": lambda i: signed("RS256", GOOD, claims(i, iss=[i.url])),
    "aud missing": without("aud"),
    "aud another": body(aud="other"),
    "aud empty list": body(aud=[]),
    "aud an object": body(aud={"slipway": 1}),
    "exp missing": without("exp"),
    "exp past": body(exp=int(time.time()) - 3600),
    "exp zero": body(exp=0),
    "exp negative": body(exp=-1),
    "exp a text": body(exp=str(int(time.time()) + 300)),
    "exp true": body(exp=True),
    "exp far beyond": body(exp=10**18),
    "exp huge": raw(b',"exp":1e400}', without_exp=True),
    "exp null": body(exp=None),
    "nbf future": body(nbf=int(time.time()) + 3600),
    "nbf a text": body(nbf="now"),
    "iat future": body(iat=int(time.time()) + 3600),
    "iat a text": body(iat="now"),
    "sub missing": without("sub"),
    "sub empty": body(sub=""),
    "sub a number": body(sub=1),
    "sub with a line": body(sub="a\nb"),
    "sub long": body(sub="s" * 256),
    "sub not ASCII": body(sub="adä"),
    "duplicate claim": raw(b',"sub":"a"}'),
    "duplicate header": lambda i: signed(
        "RS256", b'{"alg":"none",' + json.dumps(GOOD).encode()[1:], claims(i)
    ),
    "payload a list": lambda _: signed("RS256", GOOD, [1]),
    "payload no JSON": lambda _: signed("RS256", GOOD, b"x"),
    "payload not UTF-8": lambda _: signed("RS256", GOOD, b'{"a":"\xff"}'),
    "header a text": lambda i: signed("RS256", "x", claims(i)),
    "huge": body(pad="x" * 10_000),
    "deep": raw(b',"a":' + b"[" * 500 + b"]" * 500 + b"}"),
    "two parts": lambda i: i.token().rpartition(".")[0],
    "four parts": lambda i: i.token() + ".x",
    "five parts": lambda i: i.token() + ".x.y",
    "no parts": lambda _: "x",
    "empty": lambda _: "",
    "empty signature": lambda i: i.token().rpartition(".")[0] + ".",
    "padded": lambda i: i.token() + "=",
    "space before": lambda i: " " + i.token(),
    "line after": lambda i: i.token() + "\n",
    "not ASCII": lambda i: i.token() + "ä",
    "signature of another": lambda i: (
        i.token().rpartition(".")[0] + "." + i.token(sub="x").rpartition(".")[2]
    ),
    "payload changed": lambda i: ".".join(
        [i.token().split(".")[0], segment(claims(i)), i.token().split(".")[2]]
    ),
}


# The reason by the first word of the attack's name, unless the whole name is listed.
_REASONS = {
    **dict.fromkeys(("embedded", "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "nested"), Reason.HEADER),
    "encrypted": Reason.HEADER,
    "alg": Reason.ALGORITHM, "key": Reason.ALGORITHM, "typ": Reason.TYPE, "kid": Reason.KEY_ID, "iss": Reason.ISSUER,
    "aud": Reason.AUDIENCE, "exp": Reason.CLAIMS, "nbf": Reason.CLAIMS, "iat": Reason.CLAIMS, "sub": Reason.SUBJECT,
    "signature": Reason.SIGNATURE, "another's": Reason.SIGNATURE, "huge": Reason.TOO_LARGE,
    "payload changed": Reason.SIGNATURE, "alg none": Reason.MALFORMED, "alg of another key": Reason.KEY_ID,
    "kid missing, several keys": Reason.ISSUER, "exp past": Reason.EXPIRED, "exp zero": Reason.EXPIRED,
    "nbf future": Reason.NOT_YET_VALID, "iat future": Reason.NOT_YET_VALID, "exp huge": Reason.MALFORMED,
}  # fmt: skip


def reason_of(name: str) -> Reason:
    """Return the reason for refusing this attack."""
    return _REASONS.get(name) or _REASONS.get(name.split(maxsplit=1)[0]) or Reason.MALFORMED
