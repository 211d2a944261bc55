"""What alerts say: the labels and numbers in their messages."""

import re
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import helm_or_skip, run
from tests.observability.cases import dependency, fetches
from tests.observability.cluster_cases import gate
from tests.observability.programs import program
from tests.observability.rules import Case, alerts
from tests.observability.several import of_other

_AGGREGATED = re.compile(r"\b(?:sum|max|min|count|avg|absent)\b *(?:by \(([^)]*)\))?")
COUNTED = {
    "SlipwayDatabaseDown": dependency("database", "0x60") | dependency("database", "0x60", "b"),
    "SlipwayRedisDown": dependency("redis", "0x60") | dependency("redis", "0x60", "b"),
    "SlipwayMigrationPending": {f'slipway_migration_pending{{pod="{pod}"}}': "1x60" for pod in "ab"},
    "SlipwayMigrationPending, of pods at the gate": gate("0x60") | of_other(gate("0x60")),
    "SlipwayTokenKeysNotFetched": fetches("0x60", "0+2x60") | fetches("0x60", "0+2x60", "b"),
}


@pytest.fixture(autouse=True)
def _helm() -> None:
    helm_or_skip("helm")


def test_labels_in_messages_are_labels_of_the_result() -> None:
    """A label that an aggregation drops is empty in the message."""
    named = 0
    for alert, rule in alerts().items():
        for label in set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))):
            named += 1
            outermost = _AGGREGATED.search(rule["expr"])
            kept = outermost is None or label in (outermost[1] or "").split(", ")
            assert kept, f"{alert} names {label}"
    assert named > 10


def test_number_in_a_message_is_the_number_of_pods(tmp_path: Path) -> None:
    """Two are affected in each case."""
    tests = []
    for name, series in COUNTED.items():
        rule = alerts()[name.partition(",")[0]]
        case = Case(name, series, "10m", fires=True).as_promtool(rule["alert"])
        expected = [{"labels": "{}", "value": 2}]
        expr = f"max without (dependency) ({rule['expr']})"
        tests.append(
            case | {"promql_expr_test": [{"expr": expr, "eval_time": "10m", "exp_samples": expected}]}
        )
        assert "$value" in rule["annotations"]["description"]
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": tests}), "utf-8")
    done = run(program("promtool"), "test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
