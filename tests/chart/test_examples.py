"""k8s/examples are valid against the operators' CRDs, and their names match."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.definitions import problems
from tests.chart.rendering import CHART, Object, objects, one, own
from tests.chart.rendering import VALUES as VALUES_OF_CHART
from tests.chart.reviewing import tool

EXAMPLES = CHART.parent / "k8s" / "examples"
VALUES = EXAMPLES / "external-values.yaml"
RECOVERY = EXAMPLES / "cloudnative-pg-recovery.yaml"
DEFINITIONS = {
    "Application": "application-crd.yaml",
    "Cluster": "postgresql.cnpg.io_clusters.yaml",
    "GitRepository": "source.toolkit.fluxcd.io_gitrepositories.yaml",
    "HelmRelease": "helm.toolkit.fluxcd.io_helmreleases.yaml",
    "ObjectStore": "barmancloud.cnpg.io_objectstores.yaml",
    "ScheduledBackup": "postgresql.cnpg.io_scheduledbackups.yaml",
}


def _example(kind: str) -> Object:
    (found,) = (
        manifest
        for path in sorted(EXAMPLES.glob("*.yaml"))
        if path not in {VALUES, RECOVERY}
        for manifest in objects(path.read_text("utf-8"))
        if manifest["kind"] == kind
    )
    return found


@pytest.mark.parametrize("kind", sorted(DEFINITIONS))
def test_example_resources_match_their_definitions(kind: str) -> None:
    manifest, definition = _example(kind), Path(tool(f"crds/{DEFINITIONS[kind]}")).read_text("utf-8")
    also = objects(RECOVERY.read_text("utf-8")) if kind == "Cluster" else []
    assert [problems(definition, one_) for one_ in (manifest, *also)] == [""] * (1 + len(also))
    assert problems(definition, {**manifest, "spec": {**manifest["spec"], "unknownThing": 1}})


def _values() -> Any:
    return yaml.safe_load(VALUES.read_text("utf-8"))


def test_example_values_bundle_and_generate_nothing() -> None:
    kinds = {found["kind"] for found in objects(own("--values", str(VALUES)))}
    assert "Deployment" in kinds
    assert not kinds & {"StatefulSet", "Secret"}


def test_example_values_name_the_objects_of_the_operator() -> None:
    cluster, values = _example("Cluster"), _values()
    name, initdb = cluster["metadata"]["name"], cluster["spec"]["bootstrap"]["initdb"]
    database = values["externalDatabase"]
    assert database["host"] == f"{name}-rw"
    assert (database["name"], database["migration"]["user"]) == (initdb["database"], initdb["owner"])
    assert database["migration"]["existingSecret"] == f"{name}-app"
    (role,) = cluster["spec"]["managed"]["roles"]
    assert (database["user"], database["existingSecret"]) == (role["name"], role["passwordSecret"]["name"])
    (peer,) = values["networkPolicy"]["database"]["to"]
    assert peer["podSelector"]["matchLabels"] == {"cnpg.io/cluster": name}


def test_examples_of_backup_and_recovery_name_the_same_objects() -> None:
    cluster, store, scheduled = (_example(kind) for kind in ("Cluster", "ObjectStore", "ScheduledBackup"))
    (recovered,) = objects(RECOVERY.read_text("utf-8"))
    (archive,) = cluster["spec"]["plugins"]
    assert archive["parameters"] == {"barmanObjectName": store["metadata"]["name"]}
    assert scheduled["spec"]["cluster"]["name"] == cluster["metadata"]["name"]
    assert scheduled["spec"]["pluginConfiguration"]["name"] == archive["name"]
    (source,) = recovered["spec"]["externalClusters"]
    assert source["name"] == recovered["spec"]["bootstrap"]["recovery"]["source"]
    assert source["plugin"]["parameters"] == {
        **archive["parameters"],
        "serverName": cluster["metadata"]["name"],
    }
    assert recovered["metadata"]["name"] != cluster["metadata"]["name"]
    same = {"instances", "imageName", "managed", "storage", "walStorage", "plugins"}
    assert all(recovered["spec"][name] == cluster["spec"][name] for name in same)


def test_gitops_examples_name_existing_chart_and_values() -> None:
    source = _example("Application")["spec"]["source"]
    chart = CHART.parent / source["path"]
    assert (chart / "Chart.yaml").is_file()
    assert [Path(chart, path).resolve() for path in source["helm"]["valueFiles"]] == [VALUES]
    spec = _example("HelmRelease")["spec"]
    assert Path(CHART.parent, spec["chart"]["spec"]["chart"], "Chart.yaml").is_file()
    assert spec["chart"]["spec"]["sourceRef"]["name"] == _example("GitRepository")["metadata"]["name"]


def test_gitops_examples_tolerate_an_autoscaler() -> None:
    """With an autoscaler the chart does not set the number of pods; Flux also allows manual scaling."""
    scaled = own("--values", str(VALUES), "--set", "autoscaling.enabled=true")
    deployment = one(scaled, "Deployment")
    assert "replicas" not in deployment["spec"]
    (rule,) = _example("HelmRelease")["spec"]["driftDetection"]["ignore"]
    target = {"kind": "Deployment", "name": deployment["metadata"]["name"]}
    assert rule == {"paths": ["/spec/replicas"], "target": target}
    assert "ignoreDifferences" not in _example("Application")["spec"]


def test_namespace_refuses_pods_that_are_not_restricted() -> None:
    found = yaml.safe_load((EXAMPLES.parent / "namespace.yaml").read_text("utf-8"))
    modes = {f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "audit", "warn")}
    assert found["metadata"]["labels"] == {
        **dict.fromkeys(modes, "restricted"),
        **dict.fromkeys((f"{mode}-version" for mode in modes), "latest"),
    }


def test_cluster_of_tests_has_two_nodes_and_the_port_of_the_ingress() -> None:
    kind = yaml.safe_load((EXAMPLES.parent / "kind.yaml").read_text("utf-8"))
    first, second = kind["nodes"]
    assert (first["role"], second["role"]) == ("control-plane", "worker")
    (patch,) = first["kubeadmConfigPatches"]
    assert yaml.safe_load(patch)["nodeRegistration"]["taints"] == [], "pods of a drained node go there"
    (mapping,) = first["extraPortMappings"]
    assert mapping["listenAddress"] == "127.0.0.1"
    assert mapping["containerPort"] == VALUES_OF_CHART["traefik"]["ports"]["web"]["nodePort"]
