"""The rules of the chart, as Prometheus gets them."""

import functools
from typing import Any, NamedTuple

from tests.chart.rendering import CHART, one, own

RUNBOOKS = CHART.parent / "docs" / "runbooks"
NAMESPACE, RELEASE = "shop", "slipway"
LABELS = f'namespace="{NAMESPACE}", service="{RELEASE}-admin"'

Rule = dict[str, Any]


@functools.cache
def spec(*more: str) -> dict[str, Any]:
    """The specification of the PrometheusRule, which is a file of rules, too. `more` are arguments for Helm."""
    found: dict[str, Any] = one(own("--set", "prometheusRule.enabled=true", *more), "PrometheusRule")["spec"]
    return found


def alerts(*more: str) -> dict[str, Rule]:
    """The alerts by their names."""
    rules = [rule for group in spec(*more)["groups"] for rule in group["rules"] if "alert" in rule]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule for rule in rules}


class Case(NamedTuple):
    """What Prometheus knows, a sample a minute, and whether the alert goes off at a time; and which others, too.

    `series` are in promtool's notation: `1x9` is 1 ten times, `0+6x9` grows by 6. Labels of the release are added.
    """

    name: str
    series: dict[str, str]
    at: str
    fires: bool
    besides: tuple[str, ...] = ()

    def as_promtool(self, alert: str) -> Rule:
        """The test in promtool's form: these alerts go off and no other."""
        series = {'up{pod="a"}': "1x5000", **self.series}
        firing = [alert, *self.besides] if self.fires else self.besides
        return {
            "name": f"{alert}: {self.name}",
            "interval": "1m",
            "input_series": [
                {"series": name.replace("{", f"{{{LABELS}, "), "values": values}
                for name, values in series.items()
            ],
            "promql_expr_test": [
                {
                    "expr": 'max by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": self.at,
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing],
                }
            ],
        }
