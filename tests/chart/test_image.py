"""The image matches the chart: user, ports, addresses and command."""

import json
import re

from tests.chart.rendering import CHART, one, own, pods, template

DOCKERFILE = (CHART.parent / "Dockerfile").read_text("utf-8")
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :].replace("\\\n", " ")


def instruction(name: str) -> list[str]:
    """Return the arguments of each such instruction in the last stage."""
    return re.findall(rf"^{name} +(.+?) *$", LAST_STAGE, re.MULTILINE)


def test_image_runs_as_the_user_of_the_pods() -> None:
    """Numeric, because with `runAsNonRoot` the kubelet refuses an image whose user is a name."""
    [user] = instruction("USER")
    assert re.fullmatch(r"\d+:\d+", user)
    uid, gid = map(int, user.split(":"))
    assert min(uid, gid) > 10_000
    assert f"groupadd --gid {gid} " in LAST_STAGE
    assert f"useradd --uid {uid} --gid {gid} " in LAST_STAGE
    for name, pod in pods(own()).items():
        security = pod["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (uid, gid), name


def test_image_needs_no_writable_root() -> None:
    given = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    assert given["HOME"] == "/tmp"
    assert given["PYTHONDONTWRITEBYTECODE"] == "1"
    assert instruction("WORKDIR") == ["/tmp"]


def test_image_listens_on_the_ports_of_the_chart() -> None:
    given = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    assert (given["SLIPWAY_SERVER__HOST"], given["SLIPWAY_SERVER__ADMIN_HOST"]) == ("0.0.0.0", "0.0.0.0")
    [server] = template(one(own(), "Deployment"))["spec"]["containers"]
    ports = [str(port["containerPort"]) for port in server["ports"]]
    assert instruction("EXPOSE") == [" ".join(ports)]


def test_image_serves_by_default() -> None:
    given = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    assert given["PATH"] == "/opt/slipway/bin:$PATH"
    assert [json.loads(text) for text in instruction("ENTRYPOINT")] == [["slipway"]]
    assert [json.loads(text) for text in instruction("CMD")] == [["serve"]]


def test_image_has_locked_packages_and_no_way_to_install_others() -> None:
    """Each install is checked against the hashes of the lock files, and the last stage has no installer left."""
    text = DOCKERFILE.replace("\\\n", " ")
    installs = re.findall(r"(?:pip install|uv build|bin/python install)[^&\n]*", text)
    assert [("--require-hashes" in found or "--no-index" in found) for found in installs] == [True] * 4
    assert "--only-binary :all:" in installs[1]
    assert ["--no-deps" in found for found in installs] == [True, False, False, True]
    for removal in (
        r"pip uninstall [^&\n]*--yes [^&\n]* pip",
        r'rm -r "[^"]*ensurepip\.__path__[^&\n]*',
        r"dpkg --purge [^&\n]* apt >/dev/null",
    ):
        assert re.search(rf"&& (python -m )?{removal} *(&&|$)", LAST_STAGE, re.MULTILINE), removal
    assert "&& rm -rf /var/lib/apt /var/cache/apt /etc/apt\n" in LAST_STAGE


def test_image_does_not_compile_at_each_start() -> None:
    """The root is read-only for the service."""
    assert "--compile-bytecode" in DOCKERFILE
    assert re.search(r"^RUN python -m compileall ", LAST_STAGE, re.MULTILINE)


def test_memory_of_large_bodies_is_given_back() -> None:
    given = dict(re.findall(r"(\w+)=(\S+)", " ".join(instruction("ENV"))))
    assert given["MALLOC_MMAP_THRESHOLD_"] == "131072"
    assert given["PYTHONUNBUFFERED"] == "1"
