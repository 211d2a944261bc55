"""k8s/cluster makes and removes the cluster of the cluster tests: with stand-ins for kind, Docker and Kubernetes."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.stand_ins import Programs

ROOT = Path(__file__).parents[2]
FILES = ("k8s/cluster", "k8s/namespace.yaml", "tests/cluster/pgbouncer/Dockerfile")
ANSWERS = """
"kind get clusters") printf '%s\\n' slipway-of-another $CLUSTER;;
"docker image inspect --format"*) echo sha256:0123456789abcdef;;
"docker image inspect prom/absent:1") exit 1;;
"docker image inspect "*:pgbouncer-*) exit 1;;
"docker build "*) exit "${UNBUILT:-0}";;
"docker image ls "*) printf 'slipway:%s\\n' sha-0123456789ab live-0123456789ab sha-older live-older;;
"kubectl config current-context") echo "${CONTEXT:-kind-slipway}";;
"kubectl get namespaces "*) printf 'namespace/%s\\n' slipway-test slipway-test-a slipway-testing default;;
"kubectl apply "*) cat >"$CALLS.applied";;
"helm template "*) printf '%s\\n' 'image: "prom/here:1"' '  - image: prom/absent:1' 'image: slipway:dev' \\
  'image: x/y@sha256:1' '  - --prometheus-config-reloader=prom/reload:2';;
"git "*) exit 1;;
"pytest "*) echo "$SLIPWAY_NAMESPACE $SLIPWAY_CLUSTER_REQUIRED" >>"$CALLS";;
"""
TAGGED, LIVE = "slipway:sha-0123456789ab", "slipway:live-0123456789ab"
DELETED = "kubectl delete namespace slipway-test slipway-test-a --ignore-not-found --wait"


class Cluster:
    """The script in a copy of what it needs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        for file in FILES:
            (self.root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, self.root / file)
        names = ("kind", "docker", "kubectl", "helm", "git", "make", "build", "pytest")
        self._programs = Programs(folder, names, ANSWERS)
        for link, name in (("tilt/build", "build"), (".venv/bin/pytest", "pytest")):
            (self.root / link).parent.mkdir(parents=True, exist_ok=True)
            (self.root / link).symlink_to(folder / "programs" / name)
        for profile in ("06-a", "07-b"):
            (self.root / "chart" / "ci").mkdir(parents=True, exist_ok=True)
            (self.root / "chart" / "ci" / f"{profile}.yaml").touch()
        self.applied = folder / "calls.applied"
        self.printed = list[str]()

    def run(self, *arguments: str, code: int = 0, **variables: str) -> list[str]:
        """Return its calls of programs."""
        done = self._programs.run(self.root / "k8s" / "cluster", *arguments, **variables)
        assert done.returncode == code, done.stderr
        self.printed = done.stdout.splitlines()
        return self._programs.calls


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def _of(calls: list[str], *programs: str) -> list[str]:
    return [call for call in calls if call.startswith(programs)]


def test_up_makes_a_cluster_with_the_images_of_this_tree(cluster: Cluster) -> None:
    calls = cluster.run("up")
    own = f"--kubeconfig {cluster.root}/.local/kubeconfig"
    assert _of(calls, "kind create", "kind export") == [
        f"kind create cluster --quiet --name slipway --config k8s/kind.yaml {own} --wait 180s"
    ]
    assert _of(calls, "docker tag", "docker rmi") == [
        f"docker tag slipway:dev {TAGGED}", "docker rmi slipway:sha-older slipway:live-older",
    ]  # fmt: skip
    assert _of(calls, "build") == [f"build {LIVE}"]
    (loaded,) = _of(calls, "kind load")
    command, *images = loaded.split(f"--name slipway {TAGGED} {LIVE} ")
    assert (command, len(images)) == ("kind load docker-image ", 1)
    pooler, *others = images[0].split()
    assert pooler.startswith("slipway:pgbouncer-")
    assert others == ["postgres:18", "redis:8", "prom/here:1", "prom/reload:2"]
    made = yaml.safe_load(cluster.applied.read_text())
    assert made["metadata"]["name"] == "slipway-test"
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (annotated,) = _of(calls, "kubectl annotate")
    assert annotated == (
        f"kubectl annotate --overwrite namespace slipway-test slipway.test/image={TAGGED} "
        f"slipway.test/previous= slipway.test/live={LIVE} slipway.test/pooler={pooler}"
    )


def test_up_uses_a_cluster_that_is_there(cluster: Cluster) -> None:
    calls = cluster.run("up", CLUSTER="slipway", UNBUILT="1", SLIPWAY_NAMESPACE="mine", IMAGE="shop:1")
    (used,) = _of(calls, "kind create", "kind export")
    assert used.startswith("kind export kubeconfig ")
    assert f"docker tag shop:1 {TAGGED.replace('slipway', 'shop')}" in calls
    (annotated,) = _of(calls, "kubectl annotate")
    assert annotated.startswith("kubectl annotate --overwrite namespace mine ")
    assert annotated.endswith(" slipway.test/pooler="), "without its image, its tests are skipped"
    assert "pgbouncer" not in _of(calls, "kind load")[0]


def test_up_loads_nothing_into_a_cluster_of_another_kind(cluster: Cluster) -> None:
    calls = cluster.run("up", KUBECONFIG="/of/the/user", CONTEXT="production")
    assert _of(calls, "kind") == []
    assert _of(calls, "kubectl annotate")[0].endswith(" slipway.test/pooler=")


def test_down_removes_what_up_made(cluster: Cluster) -> None:
    kubeconfig = cluster.root / ".local" / "kubeconfig"
    kubeconfig.parent.mkdir()
    kubeconfig.touch()
    assert cluster.run("down") == ["kind get clusters"]
    assert not kubeconfig.exists()
    deleted = cluster.run("down", CLUSTER="slipway")
    assert deleted == ["kind get clusters", "kind delete cluster --quiet --name slipway"]
    calls = cluster.run("down", KUBECONFIG="/of/the/user")
    assert calls == ["kubectl get namespaces --output name", DELETED]


def test_tests_run_in_the_namespace_and_are_not_skipped(cluster: Cluster) -> None:
    assert cluster.run("test") == ["pytest -m cluster tests/cluster", "slipway-test 1"]
    some = ("-x", "tests/cluster/test_01_install.py")
    assert cluster.run("test", *some)[0] == f"pytest -m cluster {' '.join(some)}"


def test_images_that_nodes_pull_are_listed_once(cluster: Cluster) -> None:
    profiles = [f"helm template slipway chart --values chart/ci/{name}.yaml" for name in ("06-a", "07-b")]
    assert cluster.run("images") == profiles
    assert cluster.printed == ["prom/absent:1", "prom/here:1", "prom/reload:2"]


def test_unknown_command_explains_the_others(cluster: Cluster) -> None:
    assert cluster.run("destroy", code=2) == []
    assert cluster.printed[0] == "Manages the cluster for the cluster tests."
    assert cluster.printed[-1].endswith("only the CRDs of the Prometheus operator stay")
