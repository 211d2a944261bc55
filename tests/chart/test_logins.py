"""How pods log in to external servers: passwords, URLs, client certificates and tokens."""

from tests.chart.refusals import EXTERNAL
from tests.chart.rendering import Object, environment, one, own, template

OWNER = "externalDatabase.migration.user=owner"
FILES = "/run/authorities/database-client"


def _pod(text: str, kind: str, name: str = "") -> Object:
    pod: Object = template(one(text, kind, name))["spec"]
    return pod


def _files(pod: Object, volume: str) -> dict[str, tuple[str, str]]:
    """Return the files of a projected volume: path to the Secret and its key."""
    (found,) = (v["projected"] for v in pod["volumes"] if v["name"] == volume)
    sources = [source["secret"] for source in found["sources"] if "secret" in source]
    return {item["path"]: (source["name"], item["key"]) for source in sources for item in source["items"]}


def test_each_role_shows_its_own_client_certificate() -> None:
    tls = "externalDatabase.tls.mode=verify-full,externalDatabase.tls.clientSecret=app"
    text = own("--set", f"{EXTERNAL},{tls},{OWNER},externalDatabase.migration.clientSecret=boss")
    for kind, name, secret in (
        ("Deployment", "", "app"),
        ("Job", "", "boss"),
        ("CronJob", "slipway-purge", "app"),
    ):
        pod = _pod(text, kind, name)
        found = environment(pod["containers"][0])
        assert found["SLIPWAY_DATABASE__SSL_CERT"] == f"{FILES}.crt"
        assert found["SLIPWAY_DATABASE__SSL_KEY"] == f"{FILES}.key"
        files = _files(pod, "authorities")
        assert files["database-client.crt"] == (secret, "tls.crt")
        assert files["database-client.key"] == (secret, "tls.key")


def test_client_certificate_needs_no_password() -> None:
    base = "postgresql.enabled=false,externalDatabase.host=db,externalDatabase.tls.mode=require"
    pod = _pod(own("--set", f"{base},externalDatabase.tls.clientSecret=app"), "Deployment")
    assert "database/password" not in _files(pod, "secrets")


def test_token_of_a_sidecar_needs_no_secret() -> None:
    base = "postgresql.enabled=false,externalDatabase.host=db,config.database.password_file=/identity/token"
    pod = _pod(own("--set", base), "Deployment")
    assert environment(pod["containers"][0])["SLIPWAY_DATABASE__PASSWORD_FILE"] == "/identity/token"
    assert "database/password" not in _files(pod, "secrets")


def test_database_may_be_given_by_a_url() -> None:
    base = "postgresql.enabled=false,externalDatabase.existingSecret=db,externalDatabase.urlKey=uri"
    text = own("--set", base)
    for kind in ("Deployment", "Job"):
        assert _files(_pod(text, kind), "secrets")["database/url"] == ("db", "uri")


def test_sentinels_name_the_primary() -> None:
    login = "externalRedis.sentinel.user=asking,externalRedis.sentinel.existingSecret=s,externalRedis.existingSecret=x"
    hosts = "externalRedis.sentinel.hosts={a,b:26380,[::1]},externalRedis.sentinel.master=shop"
    tls = "externalRedis.sentinel.tls.enabled=true,externalRedis.sentinel.tls.caSecret=mine"
    text = own("--set", f"redis.enabled=false,{hosts},{login},{tls}")
    pod = _pod(text, "Deployment")
    (*_, server) = pod["containers"]
    found = {k: v for k, v in environment(server).items() if k.startswith("SLIPWAY_REDIS__")}
    assert found == {
        "SLIPWAY_REDIS__ENABLED": "true",
        "SLIPWAY_REDIS__SENTINELS": "a:26379,b:26380,[::1]:26379",
        "SLIPWAY_REDIS__SENTINEL_MASTER": "shop",
        "SLIPWAY_REDIS__SENTINEL_TLS": "true",
        "SLIPWAY_REDIS__SENTINEL_ROOT_CERT": "/run/authorities/sentinels.crt",
        "SLIPWAY_REDIS__SENTINEL_USER": "asking",
        "SLIPWAY_REDIS__TLS": "false",
    }
    files = _files(pod, "secrets")
    assert (files["redis/password"], files["redis/sentinel_password"]) == (
        ("x", "password"),
        ("s", "password"),
    )
    assert _files(pod, "authorities") == {"sentinels.crt": ("mine", "ca.crt")}
    policy = one(text, "NetworkPolicy", "slipway-server")["spec"]
    assert [one["port"] for one in policy["egress"][2]["ports"]] == [6379, 26379, 26380]


def test_redis_has_a_user() -> None:
    base = (
        "redis.enabled=false,externalRedis.host=cache,externalRedis.user=shop,externalRedis.existingSecret=x"
    )
    (*_, server) = _pod(own("--set", base), "Deployment")["containers"]
    assert environment(server)["SLIPWAY_REDIS__USER"] == "shop"
