"""A PostgreSQL that requires TLS, and a PgBouncer in transaction mode in front of it that does too."""

from pathlib import Path

from tests.cluster import servers
from tests.cluster.cluster import Cluster, Object, wait_until
from tests.cluster.loading import plain_pod
from tests.tls.terminator import Authority

PORT = 6432
FOLDER = "/run/tls"
PEM = f"{FOLDER}/server.pem"
# Within its pod, anyone can log in, as probes and these tests do; from elsewhere, TLS is required.
ACCESS = """
local all all trust
host all all 127.0.0.1/32 trust
host all all ::1/128 trust
hostssl all all all scram-sha-256
"""
CONFIG = f"""
[databases]
* = host={{postgres}} port=5432
[pgbouncer]
listen_addr = 0.0.0.0
listen_port = {PORT}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {FOLDER}/users
stats_users = {servers.USER}
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
client_tls_sslmode = require
client_tls_cert_file = {PEM}
client_tls_key_file = {PEM}
server_tls_sslmode = verify-full
server_tls_ca_file = {FOLDER}/ca.crt
"""


def _files(name: str, contents: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": contents}


def _certified(authority: Authority, host: str) -> str:
    """Return the key and the certificate of a host."""
    authority.server(host)
    return Path(authority.root.parent, f"{host}.pem").read_text("utf-8")


def install_postgres(cluster: Cluster, authority: Authority) -> str:
    """Run a PostgreSQL with a certificate that logs connections, and yield its host name."""
    host = servers.host(cluster, "postgres")
    cluster.create(_files("postgres-tls", {"server.pem": _certified(authority, host)}))
    options = {"ssl": "on", "ssl_cert_file": PEM, "ssl_key_file": PEM, "log_connections": "on"}
    settings = {
        **servers.SETTINGS["postgres"],
        "config.pgHbaConfig": ACCESS,
        "config.extraConfig": [f"{name} = '{value}'" for name, value in options.items()],
        "extraVolumes": [{"name": "tls", "secret": {"secretName": "postgres-tls", "defaultMode": 0o440}}],
        "extraVolumeMounts": [{"name": "tls", "mountPath": FOLDER, "readOnly": True}],
    }
    servers.install(cluster, {"postgres": settings})
    return host


def install_pooler(cluster: Cluster, authority: Authority) -> str:
    """Run a PgBouncer with a certificate in front of that PostgreSQL, and yield its host name."""
    host = f"pooler.{cluster.namespace}.svc"
    contents = {
        "pgbouncer.ini": CONFIG.format(postgres=servers.host(cluster, "postgres")),
        "users": f'"{servers.USER}" "{servers.PASSWORD}"\n',
        "ca.crt": authority.root.read_text("utf-8"),
        "server.pem": _certified(authority, host),
    }
    cluster.create(_files("pooler", contents))
    pod = plain_pod("pooler", cluster.pooler)
    pod["metadata"]["labels"] = {"app": "pooler"}
    (container,) = pod["spec"]["containers"]
    del container["command"]
    container |= {
        "args": [f"{FOLDER}/pgbouncer.ini"],
        "volumeMounts": [{"name": "tls", "mountPath": FOLDER, "readOnly": True}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    pod["spec"]["volumes"] = [{"name": "tls", "secret": {"secretName": "pooler"}}]
    cluster.create(pod)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "pooler"}}
    cluster.create({**service, "spec": {"selector": {"app": "pooler"}, "ports": [{"port": PORT}]}})
    wait_until("PgBouncer listens", lambda: _listens(cluster), seconds=60)
    return host


def _listens(cluster: Cluster) -> bool:
    statuses = cluster.get("Pod", "pooler")["status"].get("containerStatuses", [])
    return bool(statuses) and all(status["ready"] for status in statuses)


def clients(cluster: Cluster) -> list[dict[str, str]]:
    """Return the service's connections, according to PgBouncer."""
    to = f"host=pooler port={PORT} dbname=pgbouncer user={servers.USER} password={servers.PASSWORD} sslmode=require"
    shown = servers.rows(servers.psql(cluster, to, "SHOW CLIENTS"))
    return [client for client in shown if client["database"] != "pgbouncer"]
