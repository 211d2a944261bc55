"""Settings of backups in S3. A server over TLS records one request and refuses it."""

import hashlib
import hmac
from urllib.parse import urlsplit

from tests.backup.s3_server import recording
from tests.process.served import Served, slipway
from tests.process.settings.proxy import Proxy
from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.tls.terminator import Authority

USER, PASSWORD = "proxied", "password-for-tests"
ACCESS_KEY, SECRET, REGION = "AKIAFORTESTS", "secret-for-tests", "eu-north-1"


def list_backups(setup: Setup, given: Given) -> Served:
    """Run `list` with a storage that refuses it."""
    setup.servers["done"] = slipway(setup.home, "backup", "list", backup__storage="s3://backups/a", **given)
    return None  # type: ignore[return-value]  # nothing to talk to


@process("s3", list_backups)
def prepared(setup: Setup) -> Given:
    folder = setup.home / "authority"
    folder.mkdir()
    authority = Authority(folder)
    heads = setup.servers["heads"] = []
    port = setup.background.enter(recording(heads, context=authority.server("localhost")))
    proxy = Proxy()
    proxied = setup.background.enter(proxy.running())
    setup.servers |= {
        "root": authority.root,
        "endpoint": f"https://localhost:{port}",
        "proxy": proxy,
        "proxy_url": f"http://{USER}:{PASSWORD}@127.0.0.1:{proxied}",
    }
    return {"database__url": setup.database_url}


def head(run: Running) -> dict[str, str]:
    """Return the head of the request."""
    heads, done = run.setup.servers["heads"], run.setup.servers["done"]
    assert heads, done.stderr
    first: dict[str, str] = heads[0]
    return first


def authorization(run: Running) -> dict[str, str]:
    """Return the parts of the header Authorization."""
    _, _, text = head(run)["authorization"].partition(" ")
    return {name: value for name, _, value in (part.strip().partition("=") for part in text.split(","))}


def signature(secret: str, sent: dict[str, str], scope: str, signed: str) -> str:
    """Return the signature of a request (AWS, "Signature Version 4")."""
    method, target, _ = sent["line"].split(" ")
    headers = "".join(f"{name}:{sent[name]}\n" for name in signed.split(";"))
    path, query = urlsplit(target).path, "&".join(sorted(urlsplit(target).query.split("&")))
    canonical = "\n".join((method, path, query, headers, signed, sent["x-amz-content-sha256"]))
    text = "\n".join(
        ("AWS4-HMAC-SHA256", sent["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


@setting("backup__s3_endpoint", lambda setup: setup.servers["endpoint"], process="s3")
def that_server_is_asked(run: Running) -> None:
    assert head(run)["line"].startswith("GET /backups?list-type=2&prefix=a%2F ")
    assert run.setup.servers["done"].returncode == 1


@setting("backup__s3_root_cert", lambda setup: setup.servers["root"], process="s3")
def its_certificate_is_trusted(run: Running) -> None:
    assert head(run)


@setting("backup__s3_proxy", lambda setup: setup.servers["proxy_url"], process="s3")
def storage_is_reached_through_the_proxy(run: Running) -> None:
    proxy = run.setup.servers["proxy"]
    assert proxy.targets == {run.setup.servers["endpoint"].partition("://")[2]}
    assert proxy.credentials == {f"{USER}:{PASSWORD}"}
    assert PASSWORD not in run.setup.servers["done"].stderr


@setting("backup__s3_region", REGION, process="s3")
def request_is_signed_for_that_region(run: Running) -> None:
    assert authorization(run)["Credential"].split("/")[2] == REGION


@setting("backup__s3_access_key_id", ACCESS_KEY, process="s3")
def request_names_that_key(run: Running) -> None:
    assert authorization(run)["Credential"].split("/")[0] == ACCESS_KEY


@setting("backup__s3_secret_access_key", SECRET, process="s3")
def request_is_signed_by_that_secret(run: Running) -> None:
    sent = authorization(run)
    _, _, scope = sent["Credential"].partition("/")
    assert sent["Signature"] == signature(SECRET, head(run), scope, sent["SignedHeaders"])
    assert SECRET not in run.setup.servers["done"].stderr
