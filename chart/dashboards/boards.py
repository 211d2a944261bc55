"""What all dashboards share: variables, links, annotations of new versions."""

from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as parts

from chart.dashboards.panels import PROMETHEUS, Panel
from chart.dashboards.queries import SERVER

TAG = "slipway"


def variable(name: str, query: str, *, regex: str = "", many: bool = False) -> Any:
    """A variable with the label values in the service's metrics, within the time range shown."""
    made = dashboard.QueryVariable(name).label(name.capitalize()).query(query).datasource(PROMETHEUS)
    made = made.refresh(parts.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(parts.VariableSort.ALPHABETICAL_ASC)
    made = made.regex(regex).multi(many).include_all(many)
    if many:
        return made.current(parts.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return made


def variables() -> list[Any]:
    """Namespace, release and pods. The release is the full name, with which all its objects begin."""
    return [
        variable("namespace", "label_values(slipway_build_info, namespace)"),
        variable(
            "release",
            'label_values(slipway_build_info{namespace="$namespace"}, service)',
            regex="/^(.*)-admin$/",
        ),
        variable(
            "pod",
            'label_values(slipway_build_info{namespace="$namespace", service="$release-admin"}, pod)',
            many=True,
        ),
    ]


def text_variable(name: str, label: str, default: str = "") -> Any:
    """A text variable."""
    current = parts.VariableOption(selected=True, text=default, value=default)
    return dashboard.TextBoxVariable(name).label(label).default_value(default).current(current)


def choice_variable(name: str, label: str, *values: str, default: str) -> Any:
    """A variable with fixed values."""
    options = [parts.VariableOption(selected=v == default, text=v, value=v) for v in values]
    made = dashboard.CustomVariable(name).label(label).values(",".join(values)).options(options)
    return made.current(parts.VariableOption(selected=True, text=default, value=default))


def _new_versions() -> Any:
    """Marks on all graphs when a version appears that was not running five minutes before."""
    info = f"slipway_build_info{{{SERVER}}}"
    expr = f"count by (version) ({info}) unless count by (version) ({info} offset 5m)"
    made = dashboard.AnnotationQuery().name("New version").datasource(PROMETHEUS).icon_color("purple")
    return made.enable(enable=True).expr(expr)


def board(
    name: str,
    title: str,
    description: str,
    rows: dict[str, list[Panel]],
    more_variables: tuple[Any, ...] = (),
) -> dashboard.Dashboard:
    """A dashboard of rows of panels, with the uid `slipway-NAME`."""
    made = dashboard.Dashboard(f"Slipway / {title}").uid(f"slipway-{name}").description(description)
    made = made.tags([TAG]).time("now-1h", "now").refresh("30s").timezone("browser").readonly()
    made = made.tooltip(parts.DashboardCursorSync.CROSSHAIR).annotation(_new_versions())
    made = made.variables([*variables(), *more_variables])
    link = dashboard.DashboardLink("Slipway").type(parts.DashboardLinkType.DASHBOARDS).tags([TAG])
    made = made.link(link.include_vars(include_vars=True).keep_time(keep_time=True))
    number = 0
    for heading, panels in rows.items():
        number += 1
        made = made.with_row(dashboard.Row(heading).id(number))
        for panel in panels:
            number += 1
            made = made.with_panel(panel.id(number))
    return made
