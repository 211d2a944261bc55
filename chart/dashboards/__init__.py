"""Dashboards as code: a module a dashboard, each written as JSON beside itself by `make dashboards`.

The chart carries the JSON. `python -m chart.dashboards --check` says which file is stale.
"""
