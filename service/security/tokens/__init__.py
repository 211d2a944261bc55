"""Bearer tokens: JSON Web Tokens of OpenID Connect issuers (RFC 7519, RFC 9068), verified as RFC 8725 advises."""
