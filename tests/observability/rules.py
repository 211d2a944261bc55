"""The chart's Prometheus rules."""

import functools
from typing import Any, NamedTuple

from tests.chart.rendering import CHART, one, own

RUNBOOKS = CHART.parent / "docs" / "runbooks"
NAMESPACE, RELEASE = "shop", "slipway"
HOST, TLS_SECRET = "shop.example.com", "shop-tls"
LABELS = f'namespace="{NAMESPACE}", service="{RELEASE}-admin"'

Rule = dict[str, Any]


@functools.cache
def spec(*more: str) -> dict[str, Any]:
    """Return the spec of the PrometheusRule, which is also a valid rule file. `more` are arguments for Helm."""
    ingress = f"ingress.enabled=true,ingress.hosts[0]={HOST},ingress.tlsSecret={TLS_SECRET}"
    monitored = "prometheusRule.enabled=true,serviceMonitor.enabled=true,autoscaling.enabled=true"
    exporter = "postgresql.metrics.enabled=true"
    text = own("--set", f"{monitored},{ingress},{exporter}", *more)
    found: dict[str, Any] = one(text, "PrometheusRule")["spec"]
    return found


def alerts(*more: str) -> dict[str, Rule]:
    """Return the alerts by name."""
    rules = [rule for group in spec(*more)["groups"] for rule in group["rules"] if "alert" in rule]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule for rule in rules}


class Case(NamedTuple):
    """A test case: series with a sample per minute, and whether the alert fires, and which others do.

    `series` use promtool's notation: `1x9` is 1 ten times, `0+6x9` grows by 6. The release's labels are added, except
    to series of `foreign` programs.
    """

    name: str
    series: dict[str, str]
    at: str
    fires: bool
    besides: tuple[str, ...] = ()
    foreign: bool = False

    def as_promtool(self, alert: str) -> Rule:
        """Return the test in promtool's format: these alerts fire and no others."""
        about = {name: name if self.foreign else _ours(name) for name in self.series}
        series = {_ours('up{pod="a"}'): "1x5000"} | {about[name]: self.series[name] for name in self.series}
        firing = [alert, *self.besides] if self.fires else self.besides
        return {
            "name": f"{alert}: {self.name}",
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": 'max by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": self.at,
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing],
                }
            ],
        }


def _ours(series: str) -> str:
    return series.replace("{", f"{{{LABELS}, ")
